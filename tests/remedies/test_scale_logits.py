from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies
from remedies.surgery.logits import scaled_loss

Loss = Callable[[Tensor, Tensor], Tensor]
REMEDY = remedies["scale-logits"]
LABELS = torch.arange(12) % 4


def act(target: str, factor: float = 8.0) -> Action:
    return REMEDY.default(target).model_copy(update={"params": {"factor": factor}})


def trained(loss: Loss) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        loss(model(torch.randn(12, 3)), LABELS).backward()
        optimizer.step()
    return model


def by_name(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(input=scores, target=labels, label_smoothing=0.1)


def module(scores: Tensor, labels: Tensor) -> Tensor:
    return nn.CrossEntropyLoss(label_smoothing=0.1)(scores, labels)


def logarithms(scores: Tensor, labels: Tensor) -> Tensor:
    return nn.NLLLoss()(scores.log_softmax(-1), labels)


def images(scores: Tensor, labels: Tensor) -> Tensor:
    maps = scores.T.reshape(1, 4, 3, 4)
    return functional.nll_loss(maps.log_softmax(1), labels.reshape(1, 3, 4))


@pytest.mark.parametrize("loss", [by_name, module, logarithms, images])
def test_the_logits_of_a_line_are_multiplied(treat, loss: Loss) -> None:
    _, observed = treat(lambda: trained(loss), ())
    (line,) = REMEDY.targets([], observed)
    model, trace = treat(lambda: trained(loss), (act(line),))
    wanted = trained(lambda scores, labels: loss(8 * scores, labels))
    assert torch.allclose(model[0].weight, wanted[0].weight, atol=1e-5)
    assert not torch.allclose(model[0].weight, trained(loss)[0].weight, atol=1e-3)
    assert [event["target"] for event in trace.applied] == [line]


def test_other_lines_are_left_alone(treat) -> None:
    model, trace = treat(lambda: trained(by_name), (act("train.py:1"),))
    assert not trace.applied
    assert torch.equal(model[0].weight, trained(by_name)[0].weight)


def test_it_counts_in_evaluation_too() -> None:
    scores = torch.randn(12, 4)
    found = scaled_loss(functional.cross_entropy, (scores, LABELS), {"reduction": "sum"}, 8.0)
    assert found == functional.cross_entropy(8 * scores, LABELS, reduction="sum")


def symptom(line: str, factor: float) -> Symptom:
    return Symptom(
        code="P705",
        name="x",
        severity=1,
        where="loss",
        source=line,
        message="",
        evidence={"factor": factor},
    )


def test_the_lines_that_symptoms_name_are_one_target() -> None:
    rows = [[f"train.py:{line}", "logits.loss", 1.0] for line in (1, 2, 3)]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    symptoms = [symptom("train.py:1", 64.0), symptom("train.py:3", 32.0)]
    assert list(REMEDY.targets(symptoms, trace)) == ["train.py:1,train.py:3"]
    assert REMEDY.default("train.py:1,train.py:3", symptoms).params == {"factor": 32.0}
    assert list(REMEDY.targets([symptom("train.py:9", 1.0)], trace)) == []


@pytest.mark.parametrize(("target", "factor"), [("", 8.0), ("train.py:1", 0.0)])
def test_what_makes_no_sense_is_refused(target: str, factor: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        REMEDY.apply(None, act(target, factor))


def test_the_advice_names_line_and_factor() -> None:
    advice = REMEDY.advice(act("train.py:1,train.py:3"))
    assert "train.py:1 and train.py:3" in advice and "8" in advice
