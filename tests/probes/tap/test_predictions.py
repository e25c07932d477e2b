from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.predictions import class_statistics
from probes.tap.priors import Priors
from probes.trace import Trace
from tests.probes.tap.observing import tapped


def observe(loss: Callable[[Tensor], Tensor], width: int = 4) -> Trace:
    """Two steps of a linear model on a loss of its output, shape (12, width)."""
    with tapped() as observed:
        torch.manual_seed(0)
        model = nn.Linear(3, width)
        nn.init.zeros_(model.weight)
        with torch.no_grad():
            model.bias[:] = torch.arange(width, 0, -1.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(2):
            loss(model(torch.randn(12, 3))).backward()
            optimizer.step()
    return observed.trace


LABELS = torch.tensor([0] * 6 + [1] * 3 + [2] * 3)
SPREAD = -(0.5 * math.log(0.5) + 0.5 * math.log(0.25))


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: functional.cross_entropy(out, LABELS),
        lambda out: nn.CrossEntropyLoss()(input=out, target=LABELS),
        lambda out: functional.nll_loss(out.log_softmax(1), LABELS),
        lambda out: functional.cross_entropy(out, functional.one_hot(LABELS, 4).float()),
        lambda out: functional.cross_entropy(out.view(3, 4, 4).mT, LABELS.view(3, 4)),
        lambda out: functional.cross_entropy(
            out.repeat(2, 1)[:12], LABELS, reduction="none"
        ).mean(),
        lambda out: functional.cross_entropy(
            torch.cat((out, out)), torch.cat((LABELS, torch.full((12,), -100)))
        ),
    ],
    ids=["logits", "keywords", "log probabilities", "one-hot", "positions", "unreduced", "ignored"],
)
def test_predictions_are_held_against_the_labels(loss) -> None:
    trace = observe(loss)
    (where,) = trace.places("label.entropy")
    assert where.startswith("test_predictions.py:")

    def value(name: str) -> float:
        return trace.signal("train", where, name).values[0]

    assert value("label.entropy") == pytest.approx(SPREAD)
    assert (value("prediction.entropy"), value("prediction.top_share")) == (0.0, 1.0)
    assert value("label.top_share") == 0.5
    assert value("prediction.minority_hits") == 0.0
    expected = functional.cross_entropy(torch.arange(4, 0, -1.0).expand(12, 4), LABELS)
    assert value("prediction.loss") == pytest.approx(float(expected))


@pytest.mark.parametrize("shape", [(12,), (3, 4)], ids=str)
def test_a_loss_written_by_hand_picks_the_labels(shape) -> None:
    labels = LABELS.view(shape)

    def loss(out: Tensor) -> Tensor:
        weights = out.view(*shape, 4).exp()
        return -torch.gather((weights / 9).log(), dim=-1, index=labels[..., None]).mean()

    trace = observe(loss)
    (where,) = trace.places("label.entropy")
    assert trace.signal("train", where, "label.entropy").values[0] == pytest.approx(SPREAD)
    assert trace.signal("train", where, "prediction.top_share").values[0] == 1.0
    assert not trace.signal("train", where, "prediction.loss")


@pytest.mark.parametrize("logits", [True, False], ids=["logits", "probabilities"])
def test_yes_or_no_is_two_classes(logits) -> None:
    labels = torch.tensor([[1.0]] * 3 + [[0.0]] * 9)

    def loss(out: Tensor) -> Tensor:
        if logits:
            return functional.binary_cross_entropy_with_logits(out, labels)
        return functional.binary_cross_entropy(out.sigmoid(), labels)

    trace = observe(loss, width=1)
    (where,) = trace.places("label.entropy")
    assert trace.signal("train", where, "label.top_share").values[0] == 0.75
    assert trace.signal("train", where, "prediction.top_share").values[0] == 1.0
    known = trace.signal("train", where, "prediction.loss").values[0]
    assert known == pytest.approx(trace.signal("train", "loss", "loss.value").values[0], rel=1e-4)


def test_skill_is_what_predictions_say_of_their_own_labels() -> None:
    weighted = torch.tensor([3.0, 1.0, 2.0]).expand(12, 3)  # As from a loss that weighs classes.
    labels = torch.tensor([0, 1, 2] * 4)
    assert float(class_statistics(weighted, labels)["prediction.skill"]) == pytest.approx(
        0, abs=1e-6
    )
    sure = functional.one_hot(labels, 3) * 20.0
    told = float(class_statistics(sure, labels)["prediction.skill"])
    assert told == pytest.approx(20 * 8 / 11, rel=1e-4)  # Of 11 others, 8 have another label.
    drawn = [
        class_statistics(torch.randn(2, 3) * 3, torch.randint(3, (2,)))["prediction.skill"]
        for _ in range(4000)
    ]
    assert abs(float(torch.stack(drawn).mean())) < 0.15  # Of 3 nats by which they vary.


def test_the_loss_of_knowing_the_shares_alone_is_the_entropy_of_the_labels() -> None:
    shares = torch.tensor([0.5, 0.25, 0.25]).log().expand(12, 3)
    found = class_statistics(shares, LABELS)
    assert float(found["prediction.loss"]) == pytest.approx(float(found["label.entropy"]))


def test_no_position_that_counts_is_nothing() -> None:
    ignored = torch.full((12,), -100)
    trace = observe(lambda out: functional.cross_entropy(out, ignored).nan_to_num() + out.sum())
    assert not trace.places("prediction.loss")


def test_what_is_lost_to_common_classes_alone_is_told() -> None:
    labels = torch.tensor([0] * 9 + [1] * 3)
    # Of the rare class two are told from the common one, but for how common that is.
    scores = torch.zeros(12, 2)
    scores[:, 0] = torch.tensor([9.0] * 9 + [0.5, 0.5, 9.0])
    priors = Priors()
    found = {name: value.item() for name, value in priors.recalls("a", scores, labels).items()}
    assert found["prediction.hits"] == pytest.approx(9 / 12)
    assert found["prediction.recall"] == pytest.approx(0.5)
    assert found["prediction.fair_recall"] == pytest.approx((1 + 2 / 3) / 2)
    assert priors.recalls("b", scores, torch.zeros(12, dtype=torch.long)) == {}


def test_shares_of_classes_are_those_of_all_looks() -> None:
    priors = Priors()
    common, rare = torch.zeros(30, dtype=torch.long), torch.ones(2, dtype=torch.long)
    scores = torch.tensor([[0.5, 0.0]])
    priors.recalls("a", scores.expand(32, 2), torch.cat((common, rare)))
    found = priors.recalls("a", scores.expand(2, 2), rare)
    assert found["prediction.hits"] == 0  # The common class is in the recall from the first look.
    assert found["prediction.recall"] == 0.5 and found["prediction.fair_recall"] == 0.5


def test_what_is_usual_at_a_place_is_not_known_of_a_sample() -> None:
    torch.manual_seed(0)
    chances = torch.rand(9)
    labels = (torch.rand(400, 9) < chances).float()
    usual = chances.logit().expand(400, 9)

    def within(logits: Tensor, targets: Tensor = labels) -> float | None:
        logits = (0 * logits).requires_grad_() + logits
        trace = observe(
            lambda out: functional.binary_cross_entropy_with_logits(logits, targets) + 0 * out.sum()
        )
        places = trace.places("prediction.within")
        return trace.signal("train", places[0], "prediction.within").values[0] if places else None

    assert within(usual) == pytest.approx(0, abs=1e-6)
    assert within(usual + 4 * (labels - 0.5)) > 0.4
    assert within(usual.flatten(), labels.flatten()) is None, "all may be samples"
    assert within(usual[:1], labels[:1]) is None, "there is no other sample"
