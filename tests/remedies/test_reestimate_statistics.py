from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from remedies import remedies

RULES = ("momentum", "cumulative", "recalibrate")


class Uncopied(nn.Module):
    """Cannot be copied, as what holds a file or a lock cannot."""

    def __deepcopy__(self, memo: object) -> nn.Module:
        raise TypeError("no copies")

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values


def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [3 + 2 * torch.randn(8, 4, generator=generator) for _ in range(20)]


def train(momentum: float | None = None, decay: float = 1.0, extra: nn.Module | None = None):
    """Trains a model, the norm's momentum decaying, then evaluates it and draws a number."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(6, momentum=momentum)
    model = nn.Sequential(nn.Linear(4, 6), norm, nn.ReLU(), nn.Dropout(), nn.Linear(6, 1))
    if extra is not None:
        model.append(extra)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for batch in batches():
        model(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        if decay < 1:
            norm.momentum = norm.momentum * decay
    model.eval()
    with torch.no_grad():
        model(batches()[0])
    model.number = torch.rand(1)
    return model


def act(how: str, target: str = "1"):
    action = remedies["R102"].default(target)
    return action.model_copy(update={"params": {"how": how}})


def statistics(model: nn.Module) -> list[torch.Tensor]:
    return [model[1].running_mean, model[1].running_var]


@pytest.mark.parametrize("how", RULES)
def test_training_stays_what_it_is(treat, how) -> None:
    control, _ = treat(lambda: train(0.5, decay=0.5), ())
    model, trace = treat(lambda: train(0.5, decay=0.5), (act(how),))
    for one, other in zip(control.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(control.number, model.number), "the random numbers that follow"
    assert model[1].momentum == control[1].momentum
    assert int(model[1].num_batches_tracked) == 20
    assert not torch.allclose(statistics(model)[0], statistics(control)[0], rtol=0.1)
    assert [event["target"] for event in trace.applied] == ["1"]


@pytest.mark.parametrize("how, momentum", [("momentum", 0.1), ("cumulative", None)])
def test_it_does_what_the_constructor_could(treat, how, momentum) -> None:
    wanted = train(momentum)
    model, _ = treat(lambda: train(0.5, decay=0.5), (act(how),))
    for one, other in zip(statistics(wanted), statistics(model), strict=True):
        assert torch.allclose(one, other, rtol=1e-5)


def test_a_recalibration_has_the_weights_of_now(treat) -> None:
    model, _ = treat(lambda: train(1e-6), (act("recalibrate"),))
    inputs = torch.stack([model[0](batch) for batch in batches()[-16:]])
    mean, variance = inputs.mean((0, 1)), inputs.var(1).mean(0)
    assert torch.allclose(model[1].running_mean, mean, rtol=1e-4)
    assert torch.allclose(model[1].running_var, variance, rtol=1e-4)


def test_where_no_copy_can_be_made_the_statistics_are_those_that_the_batches_had(treat) -> None:
    model, _ = treat(lambda: train(1e-6, extra=Uncopied()), (act("recalibrate"),))
    precise, _ = treat(lambda: train(1e-6), (act("recalibrate"),))
    assert not torch.equal(model[1].running_mean, precise[1].running_mean)
    assert torch.allclose(model[1].running_mean, precise[1].running_mean, atol=0.5)
    assert model[1].running_mean.abs().max() > 1


@pytest.mark.parametrize("how", RULES)
@pytest.mark.parametrize("whole", [False, True], ids=["the norm", "the whole model"])
def test_a_norm_that_is_kept_in_evaluation_mode(treat, how, whole) -> None:
    def program() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        (model if whole else model[1]).eval()
        for batch in batches():
            model(batch).square().mean().backward()
            optimizer.step()
        model.eval()
        return model

    model, trace = treat(program, (act(how),))
    followed = model[1].running_mean.abs().max() > 1
    assert bool(followed) == bool(trace.applied) == (not whole)


def test_an_unknown_rule_is_refused(treat) -> None:
    with pytest.raises(ValueError, match="unknown rule 'reset'"):
        treat(train, (act("reset"),))


def test_a_norm_without_a_momentum_is_left_alone(treat) -> None:
    def program() -> nn.Module:
        model = train(0.1)
        del model[1].momentum
        return model

    before = copy.deepcopy(train(0.1))
    model, _ = treat(program, ())
    assert torch.equal(before[1].running_mean, model[1].running_mean)
