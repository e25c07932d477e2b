"""R206 and R207: a term whose weight grows, and one that weighs less."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.trace import Trace
from remedies import Action, remedies

STEPS = 6


def program(weight_at=lambda step: 1.0) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(STEPS):
        output = model(torch.randn(8, 3))
        fit = (output - 1).square().mean()
        penalty = output.abs().mean()
        (fit + weight_at(step) * penalty).backward()
        optimizer.step()
    return model


def act(name: str, target: str, **params: float) -> Action:
    return remedies[name].default(target).model_copy(update={"params": params})


@pytest.mark.parametrize(
    ("action", "weight_at"),
    [
        (act("weaken-term", "penalty", factor=0.25), lambda step: 0.25),
        (act("warm-up-term", "penalty", steps=4), lambda step: min(1.0, step / 4)),
    ],
    ids=["weaker", "grown"],
)
def test_it_trains_as_with_another_weight(treat, action, weight_at) -> None:
    model, trace = treat(program, (action,))
    assert torch.allclose(model.weight, program(weight_at).weight, atol=1e-6)
    assert not torch.allclose(model.weight, program().weight, atol=1e-4)
    assert [event["target"] for event in trace.applied] == ["penalty"]


def test_the_terms_before_the_noise_are_offered() -> None:
    trace = Trace()
    row = ["kl", "noise.rate", 1.0]
    trace.feed({"event": "signals", "step": 1, "phase": "train", "rows": [row]})
    for name in ("weaken-term", "warm-up-term"):
        assert list(remedies[name].targets([], trace)) == ["kl"]


def test_the_way_to_the_full_weight_is_in_proportion_to_the_run() -> None:
    trace = Trace()
    trace.steps = 300
    assert remedies["warm-up-term"].space_for(trace)["steps"].default == 150.0


@pytest.mark.parametrize(
    "bad", [act("warm-up-term", "", steps=9), act("warm-up-term", "penalty", steps=0)], ids=str
)
def test_nonsense_is_refused(treat, bad) -> None:
    with pytest.raises(ValueError, match="needs"):
        treat(program, (bad,))
