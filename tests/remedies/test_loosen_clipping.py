from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad

from probes.symptom import Symptom
from remedies import Action, remedies


def act(factor: float) -> tuple[Action, ...]:
    return (remedies["R309"].default("").model_copy(update={"params": {"factor": factor}}),)


@pytest.mark.parametrize("how", ["norm", "value", "keyword"])
def test_the_limit_is_multiplied(treat, how) -> None:
    def program() -> nn.Module:
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        model(torch.tensor([[8.0]])).sum().backward()
        if how == "norm":
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        elif how == "value":
            clip_grad.clip_grad_value_(model.parameters(), 0.1)
        else:
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.1)
        optimizer.step()
        return model

    original = nn.utils.clip_grad_norm_
    model, trace = treat(program, act(20.0))
    assert model.weight.item() == pytest.approx(-2.0, rel=1e-4)
    assert len(trace.applied) == 1
    assert nn.utils.clip_grad_norm_ is original


def test_the_factor_makes_the_limit_twice_the_usual_norm() -> None:
    symptom = Symptom(
        code="P306", name="x", severity=1, where="", message="", evidence={"kept": 1e-3}
    )
    remedy = remedies["R309"]
    action = remedy.default("", [symptom])
    assert action.params["factor"] == pytest.approx(2000)
