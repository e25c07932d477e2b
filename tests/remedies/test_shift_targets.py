from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies
from tests.remedies.training import place_of

WORDS = 6
HERE = "test_shift_targets.py"


def program(wanted: slice, ignore: int = -100, flat: bool = True, moved: bool = False):
    """Make one step; with ``moved``, on scores and labels as a person would cut them."""

    def run() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(WORDS, 8), nn.Linear(8, WORDS))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        rows = torch.randint(WORDS, (5, 8))
        scores, labels = model(rows[:, :-1]), rows[:, wanted].clone()
        if moved:
            scores, labels = scores[:, :-1], labels[:, 1:]
        pair = (scores.reshape(-1, WORDS), labels.reshape(-1)) if flat else (scores.mT, labels)
        functional.cross_entropy(*pair, ignore_index=ignore).backward()  # the loss
        optimizer.step()
        return model

    return run


LINE = place_of(__file__, "  # the loss")


def shift():
    return (remedies["R909"].default(LINE),)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.flatten() for p in model.parameters()])


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("ignore", [-100, 2])
def test_it_trains_as_one_that_is_cut_by_hand(treat, flat: bool, ignore: int) -> None:
    copied = slice(None, -1)
    model, trace = treat(program(copied, ignore, flat), shift())
    by_hand, _ = treat(program(copied, ignore, flat, moved=True), ())
    assert torch.allclose(weights(model), weights(by_hand), atol=1e-6)
    assert [event["target"] for event in trace.applied] == [LINE]


def test_another_line_is_left_alone(treat) -> None:
    other = (remedies["R909"].default(f"{HERE}:1"),)
    model, trace = treat(program(slice(None, -1)), other)
    plain, _ = treat(program(slice(None, -1)), ())
    assert torch.equal(weights(model), weights(plain)) and not trace.applied


def test_a_line_must_be_told(treat) -> None:
    with pytest.raises(ValueError, match="line"):
        treat(program(slice(None, -1)), (remedies["R909"].default(""),))
