from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.trace import Trace
from remedies import remedies
from remedies.surgery.guards import guarded


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (torch.log, (torch.zeros(3),)),
        (torch.sqrt, (torch.zeros(3),)),
        (torch.Tensor.__truediv__, (torch.ones(3), torch.zeros(3))),
        (torch.reciprocal, (torch.zeros(3),)),
        (torch.exp, (torch.full((3,), 1e4),)),
        (torch.acos, (torch.ones(3),)),
        (torch.logit, (torch.ones(3),)),
        (torch.softmax, (torch.full((2, 3), float("-inf")), 1)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_result_and_gradient_are_finite(func, args) -> None:
    args = (args[0].requires_grad_(), *args[1:])
    result = guarded(func, args, {}, 1e-6)
    result.sum().backward()
    assert bool(result.isfinite().all()) and bool(args[0].grad.isfinite().all())


def test_good_values_stay() -> None:
    values = torch.tensor([0.5, 2.0])
    assert torch.equal(guarded(torch.log, (values,), {}, 1e-6), values.log())
    negative = torch.tensor([-0.5, 2.0])
    assert torch.equal(guarded(torch.div, (1.0 * values, negative), {}, 1e-6), values / negative)


def line() -> int:
    lines = open(__file__).read().splitlines()
    return next(n for n, text in enumerate(lines, 1) if text.endswith("# here"))


def program() -> nn.Module:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        distance = (0.0 * model(torch.ones(1, 2))).square().sum().sqrt()  # here
        optimizer.zero_grad()
        distance.backward()
        optimizer.step()
    return model


def test_one_line_is_guarded(treat) -> None:
    target = f"sqrt@test_guard_operation.py:{line()}"
    model, trace = treat(program, (remedies["R604"].default(target),))
    assert bool(model.weight.isfinite().all())
    assert [event["target"] for event in trace.applied] == [target]
    model, trace = treat(program, ())
    assert not bool(model.weight.isfinite().all())
    assert trace.non_finite is not None and trace.non_finite.operation == "sqrt"
    assert list(remedies["R604"].targets([], trace)) == [target]


def test_what_cannot_be_guarded_is_no_target() -> None:
    trace = Trace.of([{"event": "nonfinite", "operation": "where", "source": "train.py:3"}])
    assert list(remedies["R604"].targets([], trace)) == []
