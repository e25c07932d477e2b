from __future__ import annotations

import functools

import pytest
import torch
import torch.utils.checkpoint
from torch import nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies


def program(trainable: bool, **options: bool) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        inputs = torch.randn(8, 3, requires_grad=trainable)
        checkpoint = functools.partial(torch.utils.checkpoint.checkpoint, **options)
        hidden = checkpoint(lambda x: model[2](model[1](model[0](x))), inputs)
        model[3](hidden).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def action(to: str):
    return remedies["R601"].default("").model_copy(update={"params": {"to": to}})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("to", ["non-reentrant", "off"])
def test_what_was_cut_off_is_trained(treat, to) -> None:
    model, trace = treat(lambda: program(False, use_reentrant=True), (action(to),))
    assert torch.equal(weights(model), weights(program(False, use_reentrant=False)))
    assert not torch.equal(weights(model), weights(program(False, use_reentrant=True)))
    assert len(trace.applied) == 1


def test_where_nothing_was_lost_it_makes_no_difference(treat) -> None:
    model, trace = treat(lambda: program(True, use_reentrant=False), (action("off"),))
    assert torch.equal(weights(model), weights(program(True, use_reentrant=False)))
    assert len(trace.applied) == 1


def test_calls_of_that_kind_already_are_nothing_to_change(treat) -> None:
    _, trace = treat(lambda: program(True, use_reentrant=False), (action("non-reentrant"),))
    assert not trace.applied
    assert remedies["R601"].space_for(trace)["to"].options == ("off",)
    assert remedies["R601"].space_for(Trace())["to"].options == ("non-reentrant", "off")


def test_checkpointing_is_as_before_afterwards(treat) -> None:
    before = torch.utils.checkpoint.checkpoint
    treat(lambda: program(True, use_reentrant=False), (action("off"),))
    assert torch.utils.checkpoint.checkpoint is before


def test_a_gradient_of_another_function_needs_no_checkpoint_at_all() -> None:
    symptom = Symptom(
        code="P601", name="x", severity=1, where="net", message="", evidence={"lost": 0}
    )
    assert remedies["R601"].default("", [symptom]).params == {"to": "off"}
    lost = symptom.model_copy(update={"evidence": {"lost": 3.0}})
    assert remedies["R601"].default("", [lost]).params == {"to": "non-reentrant"}
