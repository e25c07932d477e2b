from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes import Objective
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies

SICK = Path(__file__).parents[1] / "sick" / "unbounded_encoder.py"


def norm(target: str, **params: str) -> tuple[Action, ...]:
    action = remedies["R103"].default(target)
    return (action.model_copy(update={"params": {**action.params, **params}}),)


class Wrapped(nn.Module):
    """Gives what it computes in a tuple, a dictionary, or bare."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.inner, self.how = nn.Linear(4, 6), how

    def forward(self, inputs: Tensor) -> object:
        output = 50 * self.inner(inputs)
        return {
            "tuple": (None, output, inputs),
            "dict": {"count": 3, "output": output},
            "bare": output,
        }[self.how]


class Model(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.second = Wrapped(how), nn.Linear(6, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.first(inputs)
        hidden = {"tuple": lambda: found[1], "dict": lambda: found["output"]}.get(
            self.first.how, lambda: found
        )()
        return self.second(hidden.mean(1))


def train(how: str = "bare") -> nn.Module:
    torch.manual_seed(0)
    model = Model(how)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        loss = model(torch.randn(5, 7, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("how", ["bare", "tuple", "dict"])
@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_each_position_of_the_output_is_normed(treat, how, kind) -> None:
    model, trace = treat(lambda: train(how), norm("first", kind=kind))
    inputs = torch.randn(5, 7, 4)
    raw = 50 * model.first.inner(inputs)
    found = model.first(inputs)
    output = {"bare": found, "tuple": found[1] if how == "tuple" else None}.get(how)
    output = found["output"] if how == "dict" else output
    assert torch.equal(output, getattr(functional, f"{kind}_norm")(raw, (6,)))
    if how == "tuple":
        assert found[0] is None and found[2] is inputs
    assert [event["target"] for event in trace.applied] == ["first"]


def test_what_has_one_number_only_is_left_alone(treat) -> None:
    _, trace = treat(train, norm("second"))
    assert not trace.applied


def test_an_unknown_norm_is_refused(treat) -> None:
    with pytest.raises(ValueError, match="unknown norm 'batch'"):
        treat(train, norm("first", kind="batch"))


def test_the_targets_of_one_class_come_together(treat) -> None:
    _, trace = treat(train, ())
    found = [
        Symptom(code="P103", name="unbounded-scale", severity=1, where=where, message="")
        for where in ("first", "third")
    ]
    assert list(remedies["R103"].targets(found[:1], trace)) == ["first"]
    assert list(remedies["R103"].targets([], trace)) == ["first", "second"]
    trace.modules["third"] = replace(trace.modules["first"], where="third")
    assert list(remedies["R103"].targets(found, trace)) == ["first,third"]


@pytest.mark.long
@pytest.mark.slow
def test_another_script_with_the_same_fault_is_cured(run_script) -> None:
    from probes import probes

    for seed in (1, 2):
        control = run_script(SICK, seed=seed)
        treated = run_script(SICK, treatment=norm("mixer"), seed=seed)
        objective = Objective(name="val_mae", mode="min")
        assert objective.final(treated) < 0.5 * objective.final(control)
        assert alarms(control, probes) == ["P103"]
        assert alarms(treated, probes) == []


def alarms(trace: Trace, probes) -> list[str]:
    objective = Objective.infer(trace)
    return [s.code for probe in probes for s in probe.read(trace, objective) if s.alarming]
