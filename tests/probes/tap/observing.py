"""Runs small programs under a tap, in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from probes.tap import Tap
from probes.trace import Event, Trace

HERE = Path(__file__).parent
Loss = Callable[[Tensor, Tensor], Tensor]


class Observed:
    """A tap with all that it has told so far."""

    def __init__(self, folder: Path, max_steps: int | None) -> None:
        self.events: list[Event] = []
        self.tap = Tap(self.events.append, folder, max_steps)

    @property
    def trace(self) -> Trace:
        return Trace.of(self.events)


@contextlib.contextmanager
def tapped(max_steps: int | None = None, folder: Path = HERE) -> Iterator[Observed]:
    """Observe what is done within; lines are those of the files in the folder."""
    observed = Observed(folder, max_steps)
    observed.tap.install()
    try:
        yield observed
    finally:
        observed.tap.close()


def observe(program: Callable[[], object]) -> Trace:
    with tapped() as observed:
        program()
    return observed.trace


def line_of(place: str) -> str:
    """The text of the line that a place of a trace is at; empty for none."""
    name, _, number = place.rpartition("@")[2].partition(":")
    return (HERE / name).read_text().splitlines()[int(number) - 1].strip() if name else ""


def train(model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], loss: Loss) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for inputs, labels in batches:
        optimizer.zero_grad()
        loss(model(inputs), labels).backward()
        optimizer.step()


def classified(count: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(count):
        yield torch.randn(8, 5), torch.randint(3, (8,))


def measured(count: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(count):
        yield torch.randn(8, 5), torch.randn(8)


def linear(*after: nn.Module, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, outputs), *after)
