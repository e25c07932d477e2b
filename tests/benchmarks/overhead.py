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
- ``cockpit``: the same loop with the economy configuration of Cockpit (``cockpit-for-pytorch``,
  which wants ``setuptools<81``) at every step; nothing where it is not installed, or the model has
  layers that it does not take;
- ``tensors``: the most that tensors take at any time in the loop, the model's own and those of
  the tap, over the bare one's: what decides whether a model fits on its device. As torch's
  profiler counts it, in processes of their own;
- ``process``: MiB by which the process with the tap grows more than the bare one: what is beside
  tensors is of one size, code of torch that a bare loop has no use for above all.

Times are CPU seconds of the process, so that what else the machine does counts less.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import TypeVar

import torch

from probes.tap.cadence import is_probed
from tests.benchmarks.models import MODELS, Step, build
from tests.benchmarks.observers import OBSERVERS, can_watch

_LONG = 10_000
_PROFILED = 40
"""Steps in which memory is counted: the most is held at probed ones."""

Measured = TypeVar("Measured")


@dataclass
class Run:
    """What one process measured.

    Attributes:
        seconds: CPU seconds of each step.
        memory: MiB that the loop held at most, beyond what there was before the model.
    """

    seconds: list[float]
    memory: float


def bench(name: str, variant: str, steps: int) -> Run:
    """Train a model in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warm_up()
    before = _peak()
    with OBSERVERS[variant](name) as (_, step):
        return _train(step, steps, before)


def warm_up() -> None:
    """Have torch load what it loads at the first step, for all alike."""
    _, step = build("mlp")
    for _ in range(3):
        step()


def _train(step: Step, steps: int, before: float) -> Run:
    seconds = []
    for _ in range(steps):
        began = time.process_time()
        step()
        seconds.append(time.process_time() - began)
    return Run(seconds, _peak() - before)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tensors(name: str, variant: str, steps: int) -> float:
    """Train a model in this process; the most bytes that its tensors took at any time."""
    torch.set_num_threads(1)
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        with OBSERVERS[variant](name) as (_, step):
            for _ in range(steps):
                step()
    results = profile.kineto_results
    assert results is not None
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    return max(itertools.accumulate(size for _, size in sorted(changes)))


def _in_child(
    connection: Connection, measure: Callable[[str, str, int], Measured], *what: object
) -> None:
    connection.send(measure(*what))  # type: ignore[arg-type]


def in_process(
    measure: Callable[[str, str, int], Measured], name: str, variant: str, steps: int
) -> Measured:
    """Train a model in a new process."""
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(writer, measure, name, variant, steps))
    process.start()
    writer.close()
    run: Measured = reader.recv()
    process.join()
    return run


def line(name: str, steps: int, repeats: int) -> str:
    """Measure one model, and tell the result as a row of the table."""
    variants = [observer for observer in OBSERVERS if can_watch(observer, name)]
    runs: dict[str, list[Run]] = {variant: [] for variant in variants}
    for _ in range(repeats):
        for variant in variants:
            runs[variant].append(in_process(bench, name, variant, steps))
    # The first steps of a loop load and plan things.
    bare = median(median(run.seconds[3:]) for run in runs["bare"])
    between = [s for run in runs["tap"] for n, s in enumerate(run.seconds) if not is_probed(n)]
    probed = [s for run in runs["tap"] for n, s in enumerate(run.seconds) if n > 2 and is_probed(n)]
    rest, cost = median(between) / bare, sum(probed) / len(probed) / bare
    share = sum(map(is_probed, range(_LONG))) / _LONG
    long = share * cost + (1 - share) * rest
    loops = _ratios(runs, "tap")
    held, held_bare = (in_process(tensors, name, what, _PROFILED) for what in ("tap", "bare"))
    grown, grown_bare = (median(run.memory for run in runs[what]) for what in ("tap", "bare"))
    others = [
        f"{median(_ratios(runs, other)):.3f}" if other in runs else ""
        for other in ("hooks", "neuraldbg", "cockpit")
    ]
    return (
        f"| {name} | {1000 * bare:.2f} | {rest:.3f} | {cost:.2f} "
        f"| {median(loops):.3f} ({min(loops):.3f} to {max(loops):.3f}) | {long:.3f} "
        f"| {' | '.join(others)} "
        f"| {held / held_bare:.2f} | {grown - grown_bare:.1f} |"
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
    print(
        f"| model | {' | '.join(columns)} | hooks | neuraldbg | cockpit | tensors | process, MiB |"
    )
    print("|---" * 11 + "|")
    for name in asked.models or MODELS:
        print(line(name, asked.steps, asked.repeats), flush=True)


if __name__ == "__main__":
    main()
