from __future__ import annotations

import pytest
import torch
from torch import nn

from remedies import remedies
from remedies.surgery.norms import KINDS, StandInNorm

SHAPES = [(), (12,), (5, 5)]


def with_batch_norm(shape: tuple[int, ...] = (12,)) -> nn.Module:
    torch.manual_seed(0)
    first = {0: nn.Linear(4, 6), 1: nn.Conv1d(4, 6, 1), 2: nn.Conv2d(4, 6, 1)}[len(shape)]
    norm = nn.BatchNorm2d(6) if len(shape) == 2 else nn.BatchNorm1d(6)
    model = nn.Sequential(first, norm, nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        loss = model(torch.randn(16, 4, *shape)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def swapped(treat, to: str, shape: tuple[int, ...]):
    action = remedies["swap-norm"].default("1").model_copy(update={"params": {"to": to}})
    return treat(lambda: with_batch_norm(shape), (action,))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("to", KINDS)
def test_the_norm_is_another_one_that_is_trained_on(treat, to, shape) -> None:
    model, trace = swapped(treat, to, shape)
    assert isinstance(model[1], StandInNorm)
    assert [event["target"] for event in trace.applied] == ["1"]
    assert not torch.equal(model[1].weight, torch.ones(6))
    assert len(list(model.parameters())) == 4


@pytest.mark.parametrize("to", [kind for kind in KINDS if kind != "batch"])
def test_evaluation_does_what_training_does(treat, to) -> None:
    model, _ = swapped(treat, to, (12,))
    inputs = torch.randn(4, 4, 12)
    assert torch.equal(model.train()(inputs), model.eval()(inputs))


def test_instance_norm_is_torch_own() -> None:
    own = nn.InstanceNorm1d(6, affine=True)
    stand_in = StandInNorm("instance", 6, own.weight, own.bias, own.eps)
    inputs = torch.randn(3, 6, 9)
    assert torch.allclose(stand_in(inputs), own(inputs))


def test_the_source_line_stays_that_of_the_norm_it_replaces(treat) -> None:
    _, trace = swapped(treat, "layer", (12,))
    assert trace.modules["1"].type == "StandInNorm"
    assert (trace.modules["1"].source or "").startswith("test_swap_norm.py:")
    assert not trace.modules["1"].running_statistics


def test_an_unknown_norm_is_refused(treat) -> None:
    with pytest.raises(ValueError, match="unknown norm 'batsh'"):
        swapped(treat, "batsh", ())


def test_all_norms_with_running_statistics_are_one_target(treat) -> None:
    _, trace = treat(lambda: with_batch_norm((12,)), ())
    assert list(remedies["swap-norm"].targets([], trace)) == ["1"]


def test_a_target_that_is_not_there_leaves_no_trace_of_success(treat) -> None:
    _, trace = treat(with_batch_norm, (remedies["swap-norm"].default("no.such"),))
    assert not trace.applied


def test_a_sequence_model_gets_no_norm_that_mixes_positions(treat) -> None:
    def program() -> nn.Module:
        model = nn.Sequential(nn.Embedding(5, 4), nn.BatchNorm1d(7), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randint(5, (3, 7))).sum().backward()
        optimizer.step()
        return model

    _, trace = treat(program, ())
    assert remedies["R101"].space_for(trace)["to"].options == ("position",)

    norm = StandInNorm("position", 6, None, None, 1e-5)
    inputs = torch.randn(2, 6, 9)
    later = inputs.clone()
    later[:, :, 5:] += 1.0
    assert torch.equal(norm(inputs)[:, :, :5], norm(later)[:, :, :5])
