from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from probes.tap.sharpness import sharpness
from probes.trace import Trace
from tests.probes.tap.observing import tapped

LABELS = torch.tensor([0, 1, 2, 3, 0])
SCORES = 0.05 * functional.one_hot(LABELS, 4).float()


def test_one_factor_takes_flat_logits_to_the_least_loss() -> None:
    found = {name: value.item() for name, value in sharpness(SCORES, LABELS).items()}
    assert found["logits.loss"] == pytest.approx(functional.cross_entropy(SCORES, LABELS).item())
    assert found["logits.equal_loss"] == pytest.approx(math.log(4))
    assert found["logits.best_loss"] == pytest.approx(0, abs=1e-3)
    # 0.05 * 64 is log(25): three others of 1 beside it, log(1 + 3 / 25) = 0.12
    assert found["logits.factor"] == 64
    assert found["logits.spread"] == pytest.approx(0.05)


def test_wrong_scores_have_their_least_loss_as_they_are() -> None:
    wrong = 0.05 * functional.one_hot((LABELS + 1) % 4, 4).float()
    found = sharpness(wrong, LABELS)
    assert found["logits.best_loss"] == found["logits.loss"] > found["logits.equal_loss"]


def test_a_shift_and_a_mask_change_nothing_of_what_a_factor_does() -> None:
    shifted = sharpness(SCORES + torch.arange(5.0)[:, None], LABELS)
    masked = sharpness(torch.cat((SCORES, torch.full((5, 1), -math.inf)), 1), LABELS)
    for name in ("factor", "best_loss", "spread"):
        plain = sharpness(SCORES, LABELS)[f"logits.{name}"]
        assert torch.allclose(shifted[f"logits.{name}"], plain, atol=1e-3)
        assert torch.allclose(masked[f"logits.{name}"], plain, atol=1e-3)


def test_many_positions_are_not_all_looked_at() -> None:
    labels = torch.zeros(10_000, dtype=torch.long)
    scores = torch.zeros(10_000, 100)
    scores[::2, 0] = 50.0  # An even stride would meet these alone.
    half = sharpness(scores, labels)["logits.loss"].item()
    assert half == pytest.approx(math.log(100) / 2, rel=0.05)


def test_no_position_and_one_class_say_nothing() -> None:
    assert not sharpness(SCORES[:0], LABELS[:0])
    assert not sharpness(SCORES[:, :1], LABELS * 0)


def observe(loss) -> Trace:
    with tapped() as observed:
        model = nn.Linear(3, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(2):
            loss(model(torch.randn(5, 3))).backward()
            optimizer.step()
    return observed.trace


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: functional.cross_entropy(out, LABELS),
        lambda out: nn.NLLLoss()(out.log_softmax(1), LABELS),
    ],
)
def test_a_softmax_with_labels_is_looked_at(loss) -> None:
    (where,) = observe(loss).places("logits.factor")
    assert where.startswith("test_sharpness.py:")


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: functional.cross_entropy(out, out.detach().softmax(1)),
        lambda out: functional.binary_cross_entropy_with_logits(out[:, 0], LABELS.gt(1).float()),
        lambda out: functional.cross_entropy(out.detach(), LABELS) + out.sum(),
    ],
    ids=["probabilities", "binary", "no gradient"],
)
def test_other_losses_are_not(loss) -> None:
    assert not observe(loss).places("logits.factor")
