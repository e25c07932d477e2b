"""Ours and other tools that look at a training loop, each around the same loops."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import nn

from agent.inside.events import Sender
from probes.tap import Tap
from tests.benchmarks.models import CLASSIFIERS, Step, build

Watched = tuple[nn.Module, Step]
_HOOKS_EVERY = 100


@contextmanager
def bare(name: str) -> Iterator[Watched]:
    """Nobody looks."""
    yield build(name)


@contextmanager
def tap(name: str) -> Iterator[Watched]:
    """The tap at its default cadence; its events go into a pipe, as in a trial."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    drain = multiprocessing.get_context("fork").Process(target=_drain, args=(reader, writer))
    drain.start()
    watching = Tap(Sender(writer).emit, Path(__file__).parent)
    watching.install()
    yield build(name)
    watching.close()
    writer.close()
    drain.join()


def _drain(reader: Connection, writer: Connection) -> None:
    writer.close()
    while os.read(reader.fileno(), 1 << 20):
        pass


@contextmanager
def hooks(name: str) -> Iterator[Watched]:
    """Norms and histograms of all gradients and parameters, now and then, with plain hooks."""
    model, step = build(name)
    held: list[torch.Tensor] = []
    count = 0

    def listener(parameter: torch.Tensor) -> Callable[[torch.Tensor], None]:
        def look(gradient: torch.Tensor) -> None:
            if count % _HOOKS_EVERY == 0:
                for tensor in (parameter.detach(), gradient):
                    held.extend((tensor.norm(), torch.histc(tensor.float(), 64)))

        return look

    for parameter in model.parameters():
        parameter.register_hook(listener(parameter))  # type: ignore[no-untyped-call]

    def watched() -> None:
        nonlocal count
        step()
        count += 1
        for tensor in held:
            tensor.tolist()
        held.clear()

    yield model, watched


@contextmanager
def neuraldbg(name: str) -> Iterator[Watched]:
    """Within a block of that package, which looks at every step."""
    from neuraldbg import NeuralDbg  # type: ignore[import-not-found, unused-ignore]

    model, step = build(name)
    with NeuralDbg(model) as watching:

        def watched() -> None:
            step()
            watching.step += 1

        yield model, watched


@contextmanager
def cockpit(name: str) -> Iterator[Watched]:
    """With the quantities of its economy configuration, at every step, as it has them."""
    warnings.simplefilter("ignore")
    from backpack import extend  # type: ignore[import-not-found, unused-ignore]
    from cockpit import Cockpit  # type: ignore[import-not-found, unused-ignore]
    from cockpit.utils.configuration import (  # type: ignore[import-not-found, unused-ignore]
        configuration,
    )

    plain = CLASSIFIERS[name]()
    model, optimizer = extend(plain.model), plain.optimizer
    mean = extend(nn.CrossEntropyLoss())
    each = extend(nn.CrossEntropyLoss(reduction="none"))
    watching = Cockpit(model.parameters(), quantities=configuration("economy"))
    count = 0

    def watched() -> None:
        nonlocal count
        outputs = model(plain.inputs)
        loss = mean(outputs, plain.labels)
        optimizer.zero_grad()
        told = {
            "batch_size": len(plain.labels),
            "individual_losses": each(outputs, plain.labels),
            "loss": loss,
            "optimizer": optimizer,
        }
        with watching(count, info=told):
            loss.backward(create_graph=watching.create_graph(count))
        optimizer.step()
        count += 1

    yield model, watched


OBSERVERS: dict[str, Callable[[str], AbstractContextManager[Watched]]] = {
    "bare": bare,
    "tap": tap,
    "hooks": hooks,
    "neuraldbg": neuraldbg,
    "cockpit": cockpit,
}


def can_watch(observer: str, name: str) -> bool:
    """Whether an observer is installed, and takes the model: Cockpit wants single layers."""
    if observer == "cockpit" and name not in CLASSIFIERS:
        return False
    others = observer in ("neuraldbg", "cockpit")
    return not others or importlib.util.find_spec(observer) is not None
