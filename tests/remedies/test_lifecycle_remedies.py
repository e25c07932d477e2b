"""R801 to R806: the life cycle of training, put right from outside."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from remedies import Action, remedies

INPUTS = torch.arange(24.0).reshape(6, 4) / 24


def action(code: str, target: str = "", **params) -> tuple[Action, ...]:
    found = remedies[code].default(target)
    return (found.model_copy(update={"params": found.params | params}),)


def loop(order: str, steps: int = 5) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        for letter in order:
            match letter:
                case "f":
                    loss = model(INPUTS).square().mean()
                case "b":
                    loss.backward()
                case "s":
                    optimizer.step()
                case "z":
                    optimizer.zero_grad()
    return model


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(("order", "cured"), [("fbs", "zfbs"), ("fbfbs", "zfbfbs")])
def test_gradients_are_cleared_between_steps(treat, order, cured) -> None:
    model, trace = treat(lambda: loop(order), action("R801"))
    assert torch.equal(weights(model), weights(loop(cured)))
    assert not torch.equal(weights(model), weights(loop(order)))
    assert len(trace.applied) == 1


@pytest.mark.parametrize("order", ["fbzs", "zfsb"])
def test_what_was_cleared_too_early_is_used(treat, order) -> None:
    model, trace = treat(lambda: loop(order), action("R805"))
    assert torch.equal(weights(model), weights(loop("zfbs")))
    assert torch.equal(weights(loop(order)), weights(loop("f")))
    assert len(trace.applied) == 1


def test_an_orderly_loop_is_left_alone(treat) -> None:
    model, trace = treat(lambda: loop("zfbs"), action("R805"))
    assert torch.equal(weights(model), weights(loop("zfbs")))
    assert not trace.applied


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5))
        self.head = nn.Linear(5, 1)
        self.cut = False

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.body(inputs)
        return self.head(hidden.detach() if self.cut else hidden)


def train(everything: bool = True, cut: bool = False, mode: bool = True, rate: float = 1.0):
    torch.manual_seed(0)
    model = Parts()
    model.cut = cut
    model.train(mode)
    optimizer = torch.optim.SGD((model if everything else model.head).parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, rate)
    for _ in range(6):
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()
        schedule.step()
    return model


def test_what_was_left_out_joins_the_optimizer(treat) -> None:
    _, trace = treat(lambda: train(everything=False), ())
    symptom = Symptom(code="P802", name="x", severity=1, where="body", message="")
    (target,) = remedies["R802"].targets([symptom], trace)
    assert target == "body"
    model, trace = treat(lambda: train(everything=False), action("R802", target))
    assert torch.equal(weights(model), weights(train()))
    assert [event["target"] for event in trace.applied] == ["body"]


def test_another_module_does_not_join(treat) -> None:
    model, trace = treat(lambda: train(everything=False), action("R802", "elsewhere"))
    assert torch.equal(weights(model), weights(train(everything=False)))
    assert not trace.applied


def test_a_model_is_trained_in_training_mode(treat) -> None:
    model, trace = treat(lambda: train(mode=False), action("R803", "Parts"))
    assert torch.equal(weights(model), weights(train()))
    assert not torch.equal(weights(model), weights(train(mode=False)))
    assert len(trace.applied) == 1
    assert not treat(train, action("R803", "Parts"))[1].applied


def test_a_detached_tensor_stays_in_the_graph(treat) -> None:
    _, trace = treat(lambda: train(cut=True), ())
    (target,) = remedies["R804"].targets([], trace)
    assert target.startswith("body.0.weight@")
    model, trace = treat(lambda: train(cut=True), action("R804", target))
    assert torch.equal(weights(model), weights(train()))
    assert len(trace.applied) == 1


@pytest.mark.parametrize(
    ("params", "rate"), [({"how": "hold"}, 1.0), ({"how": "slower", "every": 100.0}, 1.0)]
)
def test_a_schedule_stands_still(treat, params, rate) -> None:
    model, trace = treat(lambda: train(rate=0.5), action("R806", **params))
    assert torch.equal(weights(model), weights(train(rate=rate)))
    assert not torch.equal(weights(model), weights(train(rate=0.5)))
    assert len(trace.applied) == 1


def test_a_schedule_that_moves_in_every_step_is_as_it_was(treat) -> None:
    model, _ = treat(lambda: train(rate=0.5), action("R806", how="slower", every=1.0))
    assert torch.equal(weights(model), weights(train(rate=0.5)))


@pytest.mark.parametrize("params", [{"how": "faster"}, {"how": "slower", "every": 0.5}])
def test_parameters_that_make_no_sense(treat, params) -> None:
    with pytest.raises(ValueError):
        treat(lambda: train(), action("R806", **params))
