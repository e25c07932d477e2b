from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.trace import Trace
from remedies import Action, remedies
from remedies.space import Range


def act(norm: float) -> tuple[Action, ...]:
    return (remedies["R305"].default("").model_copy(update={"params": {"max_norm": norm}}),)


def one_step() -> nn.Module:
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.tensor([[3.0, 4.0]])).sum().backward()
    optimizer.step()
    return model


def test_the_direction_stays_and_the_norm_is_the_limit(treat) -> None:
    model, trace = treat(one_step, act(0.5))
    assert torch.allclose(model.weight, -torch.tensor([[0.3, 0.4]]), atol=1e-5)
    assert [event["detail"] for event in trace.applied] == ["norm 5 clipped to 0.5"]


def test_a_limit_above_the_norm_is_inert(treat) -> None:
    model, trace = treat(one_step, act(50.0))
    assert torch.allclose(model.weight, -torch.tensor([[3.0, 4.0]]))
    assert not trace.applied


def test_the_limit_is_looked_for_around_the_first_norm() -> None:
    rows = [["a", "grad.norm", 3.0], ["b", "grad.norm", 4.0]]
    later = [["a", "grad.norm", 1e9], ["b", "grad.norm", 1e9]]
    trace = Trace.of(
        {"event": "signals", "step": step, "phase": "train", "rows": found}
        for step, found in enumerate([rows, later])
    )
    dimension = remedies["R305"].space_for(trace)["max_norm"]
    assert isinstance(dimension, Range) and dimension.default == pytest.approx(5.0)


def test_a_limit_must_be_positive(treat) -> None:
    with pytest.raises(ValueError, match="positive"):
        treat(one_step, act(0.0))
