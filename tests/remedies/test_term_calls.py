"""R204 and R205: the call that computes a loss term gets other arguments."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import Action, remedies

FAR = torch.tensor([[-20.0], [-1.0], [0.0], [2.0], [20.0]])


def error_of(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.huber_loss(prediction, target, delta=1.0)


def program(near_delta: float = 1.0, far_beta: float = 1.0, clip: float = 99.0) -> nn.Module:
    """Two terms by one helper, one by a module; the arguments hold from the second step on."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(4):
        output = model(torch.randn(5, 3))
        if step and near_delta != 1.0:
            near = functional.huber_loss(output, FAR, delta=near_delta)
        else:
            near = error_of(output, FAR)
        other = error_of(output, FAR + 1)
        beta = far_beta if step else 1.0
        far = nn.SmoothL1Loss(beta=beta)(output, FAR.clamp(-clip, clip) if step else FAR)
        (near + other + far).backward()
        optimizer.step()
    return model


def act(name: str, target: str, **params: float) -> Action:
    return remedies[name].default(target).model_copy(update={"params": params})


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        (act("change-huber-delta", "near", factor=0.1), {"near_delta": 0.1}),
        (act("change-huber-delta", "far", factor=5.0), {"far_beta": 5.0}),
        (act("clip-targets", "far", share=0.05), {"clip": 1.0}),
    ],
    ids=str,
)
def test_it_trains_as_if_the_script_had_other_arguments(treat, treatment, expected) -> None:
    model, trace = treat(program, (treatment,))
    assert torch.equal(model.weight, program(**expected).weight)
    assert not torch.equal(model.weight, program().weight)
    assert [(event["target"], event["step"]) for event in trace.applied] == [(treatment.target, 1)]


def test_a_term_that_is_not_there_is_inert(treat) -> None:
    model, trace = treat(program, (act("change-huber-delta", "nothing", factor=0.1),))
    assert not trace.applied
    assert torch.equal(model.weight, program().weight)


def test_only_terms_of_the_right_make_are_offered(treat) -> None:
    def mixed() -> nn.Module:
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        output = model(torch.randn(4, 3))
        fit = functional.mse_loss(output, torch.zeros(4, 2))
        name = functional.cross_entropy(output, torch.zeros(4, dtype=torch.long))
        robust = functional.huber_loss(output, torch.ones(4, 2))
        (fit + name + robust).backward()
        optimizer.step()
        return model

    _, trace = treat(mixed, ())
    assert list(remedies["change-huber-delta"].targets([], trace)) == ["robust"]
    assert list(remedies["clip-targets"].targets([], trace)) == ["fit", "robust"]


@pytest.mark.parametrize(
    "bad",
    [
        act("change-huber-delta", "", factor=0.1),
        act("change-huber-delta", "near", factor=0.0),
        act("clip-targets", "near,far", share=0.5),
        act("clip-targets", "near", share=1.0),
    ],
    ids=str,
)
def test_nonsense_is_refused(treat, bad) -> None:
    with pytest.raises(ValueError, match="needs"):
        treat(program, (bad,))
