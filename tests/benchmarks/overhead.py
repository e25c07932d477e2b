"""What the tap costs a training loop, as a ratio over the bare one.

``python -m tests.benchmarks.overhead [MODEL]... [--steps N] [--repeats N]`` trains each model bare,
with the tap, and with plain hooks, in turn, each time in a process of its own with one thread. A
line is the median over the repeats, with the spread of the whole loop's ratio in brackets:

- ``bare``: milliseconds of a step;
- ``between``: a step that is not probed, over a bare one;
- ``probed``: a step that is probed, over a bare one;
- ``loop``: all steps with the tap at its default cadence, over all bare ones, and what that comes
  to in a run of 10,000 steps;
- ``hooks``: the same loop with the norm and a histogram of every gradient and parameter every 100
  steps, which is what the ``watch`` of experiment trackers does, over the bare one;
- ``neuraldbg``: the same loop within a ``NeuralDbg(model)`` block of that package, which looks at
  every step, over the bare one; nothing where it is not installed;
- ``memory``: the most memory held in the loop beyond that before it, over the bare one's.

Times are CPU seconds of the process, so that what else the machine does counts less.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from torch import nn

from agent.inside.events import Sender
from probes.tap import Tap
from probes.tap.cadence import is_probed
from tests.benchmarks.models import MODELS, Step

_HOOKS_EVERY = 100
_LONG = 10_000


@dataclass
class Run:
    """What one process measured.

    Attributes:
        seconds: CPU seconds of each step.
        memory: MiB that the loop held at most, beyond what there was before the model.
    """

    seconds: list[float]
    memory: float


@contextmanager
def tap() -> Iterator[None]:
    """The tap at its default cadence; its events go into a pipe, as in a trial."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    drain = multiprocessing.get_context("fork").Process(target=_drain, args=(reader, writer))
    drain.start()
    watching = Tap(Sender(writer).emit, Path(__file__).parent)
    watching.install()
    yield
    watching.close()
    writer.close()
    drain.join()


def _drain(reader: Connection, writer: Connection) -> None:
    writer.close()
    while os.read(reader.fileno(), 1 << 20):
        pass


def hooks(model: nn.Module) -> Step:
    """Put hooks on all parameters; gives what is called after each step."""
    count = 0
    held: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> None:
        values = tensor.detach().flatten()
        held.extend((torch.histc(values, 64), values.norm()))

    def listener(parameter: nn.Parameter) -> Callable[[torch.Tensor], None]:
        def look(gradient: torch.Tensor) -> None:
            if count % _HOOKS_EVERY == 0:
                note(gradient)
                note(parameter)

        return look

    for parameter in model.parameters():
        parameter.register_hook(listener(parameter))  # type: ignore[no-untyped-call]

    def after() -> None:
        nonlocal count
        count += 1
        for tensor in held:
            tensor.tolist()
        held.clear()

    return after


def bench(name: str, variant: str, steps: int) -> Run:
    """Train a model in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warm_up()
    before = _peak()
    if variant == "tap":
        with tap():
            return _train(*MODELS[name](), steps, before)
    model, step = MODELS[name]()
    if variant == "hooks":
        after = hooks(model)
        return _train(model, lambda: (step(), after())[1], steps, before)
    if variant == "neuraldbg":
        from neuraldbg import NeuralDbg  # type: ignore[import-not-found, unused-ignore]

        with NeuralDbg(model) as watching:

            def counted() -> None:
                step()
                watching.step += 1

            return _train(model, counted, steps, before)
    return _train(model, step, steps, before)


def warm_up() -> None:
    """Have torch load what it loads at the first step, for all alike."""
    _, step = MODELS["mlp"]()
    for _ in range(3):
        step()


def _train(model: nn.Module, step: Step, steps: int, before: float) -> Run:
    seconds = []
    for _ in range(steps):
        began = time.process_time()
        step()
        seconds.append(time.process_time() - began)
    return Run(seconds, _peak() - before)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_child(connection: Connection, *what: object) -> None:
    connection.send(bench(*what))  # type: ignore[arg-type]


def in_process(name: str, variant: str, steps: int) -> Run:
    """Train a model in a new process."""
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(writer, name, variant, steps))
    process.start()
    writer.close()
    run: Run = reader.recv()
    process.join()
    return run


def line(name: str, steps: int, repeats: int) -> str:
    """Measure one model, and tell the result as a row of the table."""
    variants = ["bare", "tap", "hooks"]
    if importlib.util.find_spec("neuraldbg") is not None:
        variants.append("neuraldbg")
    runs: dict[str, list[Run]] = {variant: [] for variant in variants}
    for _ in range(repeats):
        for variant in variants:
            runs[variant].append(in_process(name, variant, steps))
    # The first steps of a loop load and plan things.
    bare = median(median(run.seconds[3:]) for run in runs["bare"])
    between = [s for run in runs["tap"] for n, s in enumerate(run.seconds) if not is_probed(n)]
    probed = [s for run in runs["tap"] for n, s in enumerate(run.seconds) if n > 2 and is_probed(n)]
    rest, cost = median(between) / bare, sum(probed) / len(probed) / bare
    share = sum(map(is_probed, range(_LONG))) / _LONG
    long = share * cost + (1 - share) * rest
    loops = _ratios(runs, "tap")
    other = f"{median(_ratios(runs, 'neuraldbg')):.3f}" if "neuraldbg" in runs else ""
    return (
        f"| {name} | {1000 * bare:.2f} | {rest:.3f} | {cost:.2f} "
        f"| {median(loops):.3f} ({min(loops):.3f} to {max(loops):.3f}) | {long:.3f} "
        f"| {median(_ratios(runs, 'hooks')):.3f} | {other} "
        f"| {median(r.memory for r in runs['tap']) / median(r.memory for r in runs['bare']):.2f} |"
    )


def _ratios(runs: dict[str, list[Run]], variant: str) -> list[float]:
    pairs = zip(runs[variant], runs["bare"], strict=True)
    return [sum(run.seconds[3:]) / sum(bare.seconds[3:]) for run, bare in pairs]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    columns = "bare, ms", "between", "probed", f"loop of {asked.steps}", f"of {_LONG}"
    print(f"| model | {' | '.join(columns)} | hooks | neuraldbg | memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in asked.models or MODELS:
        print(line(name, asked.steps, asked.repeats), flush=True)


if __name__ == "__main__":
    main()
