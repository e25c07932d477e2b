from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies
from remedies.space import Range


def with_schedule(rate: float, seen: list[float]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        seen.append(scheduler.get_last_lr()[0])
    return model


def with_rate_set_by_hand(rate: float, seen: list[float]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for _ in range(3):
        for group in optimizer.param_groups:
            group["lr"] = rate
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(optimizer.param_groups[0]["lr"])
    return model


@pytest.mark.parametrize("program", [with_schedule, with_rate_set_by_hand])
def test_it_trains_at_another_rate_and_the_script_sees_its_own(treat, program) -> None:
    seen: list[float] = []
    action = remedies["R301"].default("").model_copy(update={"params": {"factor": 0.5}})
    model, trace = treat(lambda: program(0.1, seen), (action,))
    expected: list[float] = []
    assert torch.allclose(model.weight, program(0.05, []).weight)
    program(0.1, expected)
    assert seen == expected
    assert len(trace.applied) == 1


def test_a_diverged_run_is_slowed_down_first() -> None:
    symptom = Symptom(code="P301", name="non-finite-training", severity=1, where="", message="")
    remedy = remedies["scale-learning-rate"]
    assert remedy.default("", [symptom]).params["factor"] < 1 < remedy.default("").params["factor"]


def symptom(code: str, **evidence: float) -> Symptom:
    return Symptom(code=code, name="x", severity=1, where="", message="", evidence=evidence)


@pytest.mark.parametrize(
    ("found", "factor"),
    [
        (symptom("P303", leap=5.0), 0.002),
        (symptom("P303", leap=0.01), 0.1),
        (symptom("P302", leap=1e9), 1e-4),
        (symptom("P304", missing=187.0), 200.0),
        (symptom("P304", missing=2.0), 10.0),
        (symptom("P304", missing=1e9), 1e4),
    ],
)
def test_the_length_of_the_steps_suggests_the_factor(found: Symptom, factor: float) -> None:
    remedy = remedies["R301"]
    action = remedy.default("", [found])
    assert action.params["factor"] == pytest.approx(factor)
    near = remedy.space_near(action, Trace())["factor"]
    assert isinstance(near, Range)
    assert near.low <= near.default <= near.high and near.default == action.params["factor"]
    assert near.high / near.low <= 100.01


def test_it_goes_on_in_the_same_direction_to_the_end() -> None:
    remedy = remedies["R301"]

    def way(found: list[Symptom]) -> list[float]:
        action, factors = remedy.default("", found), []
        while (action := remedy.further(action)) is not None:
            factors.append(action.params["factor"])
        return factors

    assert way([symptom("P301")]) == pytest.approx([0.01, 0.001, 0.0001])
    assert way([]) == pytest.approx([60.0, 600.0, 6000.0])


def with_two_rates(rate: float, seen: list[list[float]]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    groups = [{"params": [model.weight], "lr": rate}, {"params": [model.bias], "lr": 0.5}]
    optimizer = torch.optim.SGD(groups)
    model(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()
    seen.append([group["lr"] for group in optimizer.param_groups])
    return model


@pytest.mark.parametrize(("rate", "used"), [(1e-3, 0.1), (0.0, 0.5)])
def test_one_group_is_scaled_alone_or_has_the_rate_of_the_others(treat, rate, used) -> None:
    seen: list[list[float]] = []
    action = remedies["R301"].default("SGD[0]").model_copy(update={"params": {"factor": 100.0}})
    model, trace = treat(lambda: with_two_rates(rate, seen), (action,))
    assert seen == [[rate, 0.5]]
    expected = with_two_rates(used, [])
    assert torch.allclose(model.weight, expected.weight)
    assert torch.allclose(model.bias, expected.bias)
    assert [event["target"] for event in trace.applied] == ["SGD[0]"]


def test_the_first_factor_for_a_group_is_what_the_others_have() -> None:
    found = symptom("P308", ratio=5000.0).model_copy(update={"where": "Adam[1]"})
    remedy = remedies["R301"]
    assert list(remedy.targets([found], Trace())) == ["Adam[1]"]
    assert remedy.default("Adam[1]", [found]).params["factor"] == 5000.0
    assert remedy.default("Adam[1]").params["factor"] == 1.0
