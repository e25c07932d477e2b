"""What is said of a state that was taken, and of two tensors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from probes.tap.kept_states import compared, is_same, is_shared, sample_of_module

SQUARE = torch.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("other", "shared", "same"),
    [
        (SQUARE, True, True),
        (SQUARE.detach(), True, True),
        (SQUARE.clone(), False, True),
        (SQUARE + 1, False, False),
        (SQUARE.T, False, False),
        (SQUARE[0], False, False),
        (SQUARE.double(), False, False),
    ],
)
def test_the_same_memory_and_the_same_values(other, shared, same) -> None:
    assert is_shared(SQUARE, other) is shared
    assert is_same(SQUARE, other) is same


def test_what_is_no_number_is_the_same_in_the_same_memory() -> None:
    broken = torch.full((3,), math.nan)
    assert is_same(broken, broken.detach())
    assert not is_same(broken, broken.clone())


def test_a_sample_is_of_every_part_and_stays_as_it_was() -> None:
    model = nn.Sequential(*(nn.Linear(300, 4) for _ in range(3)))
    before = sample_of_module(model)
    assert before is not None and len(before) == 3 * (16 + 4)
    with torch.no_grad():
        model[2].bias += 1
    now = sample_of_module(model)
    assert now is not None and not torch.equal(now, before)


def test_there_is_no_sample_of_what_is_not_trained() -> None:
    assert sample_of_module(nn.Linear(3, 2).requires_grad_(False)) is None
    assert sample_of_module(nn.ReLU()) is None


def test_values_are_compared_by_name_shared_ones_too() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].weight = model[0].weight
    state = {**model.state_dict(), "more": torch.ones(2), "text": "kept"}
    pairs = list(compared(model, state))
    assert len(pairs) == 8  # All but the counter of the norm.
    assert all(is_shared(own, given) for own, given in pairs)
