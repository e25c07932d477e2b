"""Remedies that change settings of the optimizer for the length of a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from remedies import Action, remedies

Seen = list[dict[str, Any]]


def act(code: str, **params: float) -> tuple[Action, ...]:
    return (remedies[code].default("").model_copy(update={"params": params}),)


class Spy(torch.optim.SGD):
    """Notes the settings with which it steps."""

    seen: Seen

    def step(self, closure: Any = None) -> None:
        self.seen += [
            {key: value for key, value in group.items() if key != "params"}
            | {"moved": any(p.grad is not None for p in group["params"])}
            for group in self.param_groups
        ]


def steps(seen: Seen, groups: int = 1, **settings: Any) -> nn.Module:
    model = nn.Linear(3, 2)
    split = [{"params": [p]} for p in model.parameters()][:groups]
    optimizer = Spy(split, lr=1.0)
    for group, changed in zip(optimizer.param_groups, settings.pop("each", [{}] * 9), strict=False):
        group.update({**settings, **changed})
    optimizer.seen = seen
    before = [dict(group) for group in optimizer.param_groups]
    for _ in range(4):
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    assert [dict(group) for group in optimizer.param_groups] == before
    return model


def test_the_rate_warms_up_in_a_straight_line(treat) -> None:
    seen: Seen = []
    _, trace = treat(lambda: steps(seen), act("R306", steps=4))
    assert [group["lr"] for group in seen] == [0.25, 0.5, 0.75, 1.0]
    assert len(trace.applied) == 1


def test_training_stops_early(treat) -> None:
    seen: Seen = []
    _, trace = treat(lambda: steps(seen), act("R310", step=2))
    assert [group["moved"] for group in seen] == [True, True, False, False]
    assert [event["step"] for event in trace.applied] == [2]


def test_it_stops_at_the_best_report() -> None:
    symptom = Symptom(
        code="P351", name="x", severity=1, where="", message="", evidence={"best_step": 37.0}
    )
    assert remedies["R310"].default("", [symptom]).params == {"step": 37.0}


@pytest.mark.parametrize(
    ("each", "to", "expected"),
    [
        ([{"weight_decay": 5.0}, {"weight_decay": 0.0}], 0.0, [0.0, 0.0]),
        ([{"weight_decay": 5.0}, {"weight_decay": 0.0}], 0.01, [0.01, 0.0]),
        ([{"weight_decay": 0.0}, {"weight_decay": 0.0}], 0.01, [0.01, 0.01]),
    ],
)
def test_groups_without_decay_stay_so_unless_all_are(treat, each, to, expected) -> None:
    seen: Seen = []
    treat(lambda: steps(seen, groups=2, each=each), act("R308", to=to))
    assert [group["weight_decay"] for group in seen] == expected * 4


def test_a_model_that_learns_by_heart_gets_more_decay() -> None:
    remedy = remedies["R308"]
    assert remedy.default("").params["to"] == 0.0
    symptom = Symptom(code="P351", name="x", severity=1, where="", message="")
    assert float(remedy.default("", [symptom]).params["to"]) > 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"momentum": 0.999}, {"momentum": 0.9}),
        ({"momentum": 0.0}, {"momentum": 0.0}),
        ({"betas": (0.99, 0.5), "eps": 1.0}, {"betas": (0.9, 0.999), "eps": 1e-8}),
        ({"betas": (0.9, 0.95), "eps": 1e-6}, {"betas": (0.9, 0.95), "eps": 1e-6}),
    ],
)
def test_momentum_betas_and_epsilon_are_the_usual_ones(treat, settings, expected) -> None:
    seen: Seen = []
    treat(lambda: steps(seen, **settings), act("R312", momentum=0.9))
    assert all(group[key] == value for group in seen for key, value in expected.items())
