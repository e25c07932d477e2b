"""The life cycle of training: what is told of it, and that it is left as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.probes.tap.observing import line_of, observe

INPUTS = torch.arange(24.0).reshape(6, 4) / 24


def loop(order: str, steps: int = 12, kind: type = torch.optim.SGD) -> nn.Module:
    """A loop of f(orward), b(ackward), s(tep), z(ero_grad), n(one), m(odel zero), d(ecay)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 1))
    optimizer = kind(model.parameters(), lr=0.01)
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
                case "m":
                    model.zero_grad(set_to_none=False)
                case "n":
                    for parameter in model.parameters():
                        parameter.grad = None
                case "d":
                    for parameter in model.parameters():
                        parameter.grad.mul_(0.9)
    return model


@pytest.mark.parametrize(
    ("order", "carried", "cleared"),
    [
        ("fbs", 1, 0),
        ("zfbs", 0, 0),
        ("fbsm", 0, 0),
        ("fnbs", 0, 0),
        ("fbsd", 0, 0),
        ("zfbfbfbs", 0, 0),
        ("fbfbs", 1, 0),
        ("fbzs", 0, 1),
        ("zfsb", 0, 1),
        ("szfb", 0, 0),
    ],
)
def test_carried_and_cleared_gradients(order: str, carried: int, cleared: int) -> None:
    trace = observe(lambda: loop(order))
    count = 10 if order[-1] != "b" else 9
    assert trace.signal("train", "optimizer", "cycle.carried").values[2:] == [carried] * count
    assert trace.signal("train", "optimizer", "cycle.cleared").values[2:] == [cleared] * count


def test_an_optimizer_is_told_with_its_lines() -> None:
    info = observe(lambda: loop("zfbs")).loops["optimizer"]
    assert info.type == "SGD"
    assert line_of(info.source).startswith("optimizer = kind(")
    assert line_of(info.backward) == "loss.backward()"
    assert line_of(info.stepped) == "optimizer.step()"


@pytest.mark.parametrize("order", ["zfbs", "fbs", "zfsb", "zfbfbs"])
def test_training_stays_bit_identical(order: str) -> None:
    bare = loop(order, 40).state_dict()
    state = torch.get_rng_state()
    probed: list[nn.Module] = []
    observe(lambda: probed.append(loop(order, 40)))
    assert all(torch.equal(bare[key], value) for key, value in probed[0].state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_everything_is_put_back() -> None:
    owners = (nn.Module, torch.no_grad, torch.inference_mode, torch.optim.lr_scheduler.LRScheduler)
    names = ("load_state_dict", "train", "__enter__", "__exit__", "step")
    before = [(o, n, getattr(o, n)) for o in owners for n in names if hasattr(o, n)]
    observe(lambda: loop("zfbs"))
    assert all(getattr(owner, name) is value for owner, name, value in before)


class Hidden(nn.Module):
    def __init__(self, cut: str = "") -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.blocks = [nn.Linear(4, 4)]
        self.head = nn.Linear(4, 1)
        self.cut = cut

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.first(inputs)
        if self.cut == "detach":
            hidden = hidden.detach()
        elif self.cut == "tensor":
            hidden = torch.tensor(hidden.tolist())
        return self.head(self.blocks[0](hidden))


def train(model: nn.Module, parameters: object = None, steps: int = 6) -> None:
    optimizer = torch.optim.SGD(parameters or model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()


def test_layers_in_a_list_are_outside_and_named_after_it() -> None:
    trace = observe(lambda: train(Hidden()))
    assert trace.places("outside.elements") == ["blocks.0.weight", "blocks.0.bias"]
    assert "self.blocks = [nn.Linear(4, 4)]" in line_of(trace.modules["blocks.0"].source)
    assert set(trace.signal("train", "blocks.0.weight", "outside.fresh").values) == {1.0}
    assert not trace.places("idle.elements")


def test_what_was_loaded_is_not_fresh() -> None:
    def program() -> None:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
        model[0].load_state_dict(nn.Linear(4, 4).state_dict())
        train(model, model[1].parameters())

    trace = observe(program)
    assert set(trace.signal("train", "0.weight", "outside.fresh").values) == {0.0}
    assert set(trace.signal("train", "0.weight", "outside.late").values) == {0.0}


@pytest.mark.parametrize(("cut", "name"), [("detach", "cut.detach"), ("tensor", "cut.tolist")])
def test_the_line_that_cuts_is_told(cut: str, name: str) -> None:
    trace = observe(lambda: train(Hidden(cut)))
    assert trace.places("idle.elements") == ["first.weight", "first.bias"]
    (place,) = [p for p in trace.places(name) if p.startswith("first.weight@")]
    assert cut in line_of(place.partition("@")[2])


def test_modes_are_told_with_the_line_of_eval_and_of_the_evaluation() -> None:
    def program() -> None:
        model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(6):
            model(INPUTS).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                model(INPUTS)
            model.eval()

    trace = observe(program)
    places = trace.places("mode.training")
    assert places[0] == "Sequential@"
    assert line_of(places[1].partition("@")[2]) == "model.eval()"
    assert set(trace.signal("train", places[1], "mode.active").values) == {0.0}
    (evaluated,) = trace.places("mode.training", "eval")
    assert line_of(evaluated.partition("@")[2]) == "model(INPUTS)"
    assert trace.signal("eval", evaluated, "mode.training").values[:2] == [1.0, 0.0]


def test_rates_and_the_line_that_moves_the_schedule() -> None:
    def program() -> None:
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(4):
            model(INPUTS).mean().backward()
            optimizer.step()
            schedule.step()

    trace = observe(program)
    assert trace.signal("train", "optimizer", "rate.value").values == [0.1, 0.05, 0.025, 0.0125]
    (place,) = trace.places("schedule.position")
    assert line_of(place.partition("@")[2]) == "schedule.step()"
