from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes import Symptom, Trace
from remedies import remedies

Loss = Callable[[Tensor, Tensor], Tensor]
LABELS = torch.tensor([0] * 18 + [1] * 2)


def trained(loss: Loss, outputs: int) -> nn.Module:
    """Trains nothing but a bias, with a learning rate that reaches what the loss wants."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, outputs))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(300):
        optimizer.zero_grad()
        loss(model(torch.zeros(20, 1)), LABELS).backward()
        optimizer.step()
    return model


def binary(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(scores[:, 0], labels.float())


def odds(model: nn.Module) -> float:
    bias = model[0].bias.detach()
    return float(bias[0] if len(bias) == 1 else bias[1] - bias[0])


@pytest.mark.parametrize(("loss", "outputs"), [(functional.cross_entropy, 2), (binary, 1)])
def test_both_classes_count_alike(treat: Any, loss: Loss, outputs: int) -> None:
    assert odds(trained(loss, outputs)) == pytest.approx(-2.2, abs=0.1)
    action = remedies["weigh-classes"].default("loss")
    model, trace = treat(lambda: trained(loss, outputs), (action,))
    assert odds(model) == pytest.approx(0.0, abs=0.1)
    assert [event["target"] for event in trace.applied] == ["loss"]


def test_the_root_is_half_way(treat: Any) -> None:
    action = remedies["weigh-classes"].default("loss")
    action = action.model_copy(update={"params": {"power": "root"}})
    model, _ = treat(lambda: trained(binary, 1), (action,))
    assert odds(model) == pytest.approx(-1.1, abs=0.1)


def test_weights_of_the_script_stay(treat: Any) -> None:
    def weighed(scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, weight=torch.tensor([1.0, 9.0]))

    model, trace = treat(lambda: trained(weighed, 2), (remedies["weigh-classes"].default("loss"),))
    assert not trace.applied and odds(model) == pytest.approx(0.0, abs=0.1)


def test_weights_that_are_upside_down_do_not(treat: Any) -> None:
    def weighed(scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, weight=torch.tensor([1.8, 0.2]))

    assert odds(trained(weighed, 2)) < -4
    model, trace = treat(lambda: trained(weighed, 2), (remedies["weigh-classes"].default("loss"),))
    assert trace.applied and odds(model) == pytest.approx(0.0, abs=0.1)
    _, untreated = treat(lambda: trained(weighed, 2), ())
    (place,) = untreated.places("label.weight.0")
    assert untreated.signal("train", place, "label.weight.1").values[0] == pytest.approx(0.2)


def test_targets_are_classification_losses() -> None:
    trace = Trace.of(
        {"event": "term", "where": name, "source": "train.py:1", "operation": operation}
        for name, operation in (("fit", "mse_loss"), ("kind", "cross_entropy"))
    )
    remedy = remedies["weigh-classes"]
    assert list(remedy.targets([], trace)) == ["kind"]
    symptom = Symptom(code="P501", name="x", severity=1, where="fit", message="")
    assert list(remedy.targets([symptom], trace)) == []
