"""Every step gets the next batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from remedies import Action, remedies

ACTION = remedies["advance-batches"].default("")
DATA = TensorDataset(torch.arange(40.0)[:, None], torch.arange(40.0)[:, None])
Batches = Callable[[], Iterator[Tensor]]


def anew() -> Iterator[Tensor]:
    loader = DataLoader(DATA, 8)
    for _ in range(7):
        yield next(iter(loader))[0]


def epochs() -> Iterator[Tensor]:
    loader = DataLoader(DATA, 8)
    for _ in range(2):
        for inputs, _ in loader:
            yield inputs


def sliced() -> Iterator[Tensor]:
    for _ in range(7):
        yield DATA.tensors[0][4:12]


def indexed() -> Iterator[Tensor]:
    rows = torch.arange(4, 12)
    for _ in range(7):
        yield DATA.tensors[0][rows]


def firsts(batches: Batches, treat: Any, treatment: tuple[Action, ...]) -> tuple[list[float], Any]:
    seen: list[float] = []

    def program() -> nn.Module:
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        for inputs in batches():
            seen.append(float(inputs[0, 0]))
            model(inputs).square().mean().backward()
            optimizer.step()
        return model

    _, trace = treat(program, treatment)
    return seen, trace


@pytest.mark.parametrize(
    ("batches", "seen"),
    [
        (anew, [0, 8, 16, 24, 32, 0, 8]),
        (sliced, [4, 4, 20, 28, 36, 4, 12]),
        (indexed, [4, 4, 20, 28, 36, 4, 12]),
    ],
)
def test_batches_move_on(treat: Any, batches: Batches, seen: list[float]) -> None:
    found, trace = firsts(batches, treat, (ACTION,))
    assert found == seen and trace.applied
    assert len(set(firsts(batches, treat, ())[0])) == 1


def test_epochs_stay_what_they_are(treat: Any) -> None:
    found, _ = firsts(epochs, treat, (ACTION,))
    assert found == [0, 8, 16, 24, 32] * 2
    original = DataLoader.__iter__
    assert original.__module__.startswith("torch")
