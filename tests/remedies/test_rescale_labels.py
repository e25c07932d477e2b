"""Labels of a binary cross-entropy are brought to 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes import Symptom
from probes.trace import Trace
from remedies import remedies

REMEDY = remedies["rescale-labels"]


def trained(code: Callable[[Tensor], Tensor], loss: Any) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(5):
        inputs, labels = torch.randn(16, 5), torch.randint(2, (16, 1)).float()
        optimizer.zero_grad()
        loss(model(inputs), code(labels)).backward()
        optimizer.step()
    return model


def same(one: nn.Module, other: nn.Module) -> bool:
    return torch.allclose(one.weight, other.weight, atol=1e-5)


@pytest.mark.parametrize("code", [lambda y: y + 1, lambda y: 2 * y - 1, lambda y: 255 * y])
@pytest.mark.parametrize(
    "loss", [functional.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss()]
)
def test_labels_become_0_and_1(treat: Any, code: Any, loss: Any) -> None:
    model, trace = treat(lambda: trained(code, loss), (REMEDY.default("loss"),))
    assert same(model, trained(lambda y: y, loss))
    assert [event["target"] for event in trace.applied] == ["loss"]
    places = trace.places("label.outside")
    assert not any(trace.signal("train", places[0], "label.outside").values)


def cosine(scores: Tensor, labels: Tensor) -> Tensor:
    pair = torch.cat([scores, torch.ones(16, 1)], 1), torch.ones(16, 2)
    return functional.cosine_embedding_loss(*pair, labels[:, 0])


def ranked(scores: Tensor, labels: Tensor) -> Tensor:
    return nn.MarginRankingLoss(0.2)(scores, -scores.detach(), target=labels)


def hinged(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.hinge_embedding_loss(scores, labels)


@pytest.mark.parametrize("loss", [cosine, ranked, hinged, nn.SoftMarginLoss()])
def test_labels_become_minus_1_and_1(treat: Any, loss: Any) -> None:
    model, trace = treat(lambda: trained(lambda y: y, loss), (REMEDY.default("loss"),))
    wanted, untreated = trained(lambda y: 2 * y - 1, loss), trained(lambda y: y, loss)
    assert same(model, wanted) and not same(untreated, wanted)
    (place,) = trace.places("label.signed")
    assert not any(trace.signal("train", place, "label.outside").values)
    model, trace = treat(lambda: trained(lambda y: 2 * y - 1, loss), (REMEDY.default("loss"),))
    assert same(model, wanted) and not trace.applied


@pytest.mark.parametrize("code", [lambda y: y, lambda y: 0.1 + 0.8 * y])
def test_probabilities_are_left_alone(treat: Any, code: Any) -> None:
    loss = functional.binary_cross_entropy_with_logits
    model, trace = treat(lambda: trained(code, loss), (REMEDY.default("loss"),))
    assert not trace.applied and same(model, trained(code, loss))


def test_only_losses_of_probabilities_are_targets() -> None:
    term = {"event": "term", "where": "ce", "source": "t.py:4", "operation": "cross_entropy"}
    binary = {**term, "where": "bce", "operation": "binary_cross_entropy"}
    trace = Trace.of([term, binary])
    symptoms = [
        Symptom(code="P903", name="x", severity=1, where=where, message="")
        for where in ("ce", "bce")
    ]
    assert list(REMEDY.targets(symptoms, trace)) == ["bce"]
    assert list(REMEDY.targets(symptoms[:1], trace)) == []
