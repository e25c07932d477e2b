from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies

REMEDY = remedies["R315"]
INPUTS = torch.linspace(-1, 1, 32).view(8, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


def action(target: str = "Net", horizon: float = 4.0) -> Action:
    params = {"horizon": horizon}
    return REMEDY.default(target).model_copy(update={"params": params})


def slowly(average: nn.Module, model: nn.Module, decay: float = 0.9999) -> None:
    for own, weights in zip(average.parameters(), model.parameters(), strict=True):
        own.data.lerp_(weights.data, 1 - decay)


def trained(
    kept: list[nn.Module],
    update: Callable[[nn.Module, nn.Module], object] = slowly,
    seen: Callable[[nn.Module], object] = id,
    steps: int = 30,
) -> nn.Module:
    """Trains a model; what it keeps are copies of it, the first of which is updated."""
    torch.manual_seed(0)
    model = Net()
    kept += [copy.deepcopy(model), copy.deepcopy(model)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(INPUTS) - INPUTS.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
        update(kept[0], model)
        seen(model)
    return model


def state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items() if v.is_floating_point()}


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_copy_is_an_average_over_the_horizon(treat) -> None:
    kept: list[nn.Module] = []
    way: list[dict[str, Tensor]] = []
    model, trace = treat(
        lambda: trained(kept, seen=lambda model: way.append(state(model))), (action(),)
    )
    assert same(model, trained([]))
    expected = way[0]
    for weights in way[1:]:
        expected = {k: v.lerp(weights[k], 1 / 4) for k, v in expected.items()}
    for name, value in state(kept[0]).items():
        assert torch.allclose(value, expected[name], rtol=0.01, atol=2e-3), name
    assert [event["target"] for event in trace.applied] == ["Net"]
    assert "an average over 4 steps" in trace.applied[0]["detail"]


def test_the_symptom_is_gone(treat) -> None:
    def program() -> nn.Module:
        kept: list[nn.Module] = []
        model = trained(kept)
        with torch.no_grad():
            kept[0].eval()(INPUTS)
        return model

    lags = [
        next(
            trace.signal("eval", place, "average.lag").values[-1]
            for place in trace.places("average.lag", "eval")
        )
        for _, trace in (treat(program, ()), treat(program, (action(),)))
    ]
    assert lags[0] > 0.9 and lags[1] < 0.5


def test_what_the_script_does_not_move_stays(treat) -> None:
    kept: list[nn.Module] = []
    _, trace = treat(lambda: trained(kept), (action("Net,Net/2"),))
    assert same(kept[1], plainly()[1])
    assert {event["target"] for event in trace.applied} == {"Net"}


def test_a_copy_that_is_no_target_stays(treat) -> None:
    kept: list[nn.Module] = []
    _, trace = treat(lambda: trained(kept), (action("Net/2"),))
    assert same(kept[0], plainly()[0])
    assert not trace.applied


def plainly() -> list[nn.Module]:
    kept: list[nn.Module] = []
    trained(kept)
    return kept


def test_a_copy_in_another_precision_is_pulled_in_its_own(treat) -> None:
    kept: list[nn.Module] = []

    def in_double() -> nn.Module:
        torch.manual_seed(0)
        model = Net()
        average = copy.deepcopy(model).double()
        kept.append(average)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(20):
            optimizer.zero_grad()
            model(INPUTS).square().mean().backward()
            optimizer.step()
            for own, weights in zip(average.parameters(), model.parameters(), strict=True):
                own.data.lerp_(weights.data.double(), 1e-4)
        return model

    _, trace = treat(in_double, (action(),))
    assert trace.applied
    assert all(p.dtype == torch.float64 for p in kept[0].parameters())


def test_only_the_steps_of_what_trains_the_original_count(treat) -> None:
    def program() -> nn.Module:
        other = nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([other], lr=0.1)

        def step(model: nn.Module) -> None:
            optimizer.zero_grad()
            other.square().sum().backward()
            optimizer.step()

        return trained(kept, seen=step)

    kept: list[nn.Module] = []
    alone: list[nn.Module] = []
    model, _ = treat(program, (action(horizon=30.0),))
    treat(lambda: trained(alone), (action(horizon=30.0),))
    assert distance(kept[0], alone[0]) < 0.2 * distance(kept[0], model)


def distance(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return float(sum((a - b).detach().square().sum() for a, b in pairs)) ** 0.5


def lent(seen: list[Tensor], plain: bool = False, grad: bool = False) -> nn.Module:
    """Trains a model, and evaluates it with slow averages in the place of its weights."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    kept = [p.detach().clone() for p in model.parameters()]
    for step in range(30):
        optimizer.zero_grad()
        (model(INPUTS) - INPUTS.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
        for own, weights in zip(kept, model.parameters(), strict=True):
            own.lerp_(weights.data, 1e-3)
        if step % 10 == 9:
            theirs = [p.data for p in model.parameters()]
            for parameter, own in zip(model.parameters(), kept, strict=True):
                parameter.data = parameter.data if plain else own
            with torch.set_grad_enabled(grad):
                seen.append(model(INPUTS).detach())
            seen += [own.clone() for own in kept]
            for parameter, value in zip(model.parameters(), theirs, strict=True):
                parameter.data = value
    return model


def test_an_average_that_is_put_into_the_model_gives_way_for_the_pass(treat) -> None:
    seen: list[Tensor] = []
    plain: list[Tensor] = []
    model, trace = treat(lambda: lent(seen), (action("Linear"),))
    assert same(model, lent(plain))
    assert [event["target"] for event in trace.applied] == ["Linear"]
    for number in (1, 2):
        kept = zip(seen[number::3], plain[number::3], strict=True)
        assert all(torch.equal(one, other) for one, other in kept)
    average, *way = weights_of_every_step()
    for weights in way:
        average = [own.lerp(value, 1 / 4) for own, value in zip(average, weights, strict=True)]
    assert torch.allclose(seen[-3], nn.functional.linear(INPUTS, *average), atol=1e-5)
    assert not torch.allclose(seen[-3], plain[-3], atol=1e-2)


def weights_of_every_step() -> list[list[Tensor]]:
    """The weights of the same training, from before the first step on."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    way = [[p.detach().clone() for p in model.parameters()]]
    for _ in range(30):
        optimizer.zero_grad()
        (model(INPUTS) - INPUTS.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
        way.append([p.detach().clone() for p in model.parameters()])
    return way


@pytest.mark.parametrize(
    "options", [{"plain": True}, {"grad": True}], ids=["as it is", "with grad"]
)
def test_a_pass_that_evaluates_no_average_is_left_alone(treat, options) -> None:
    seen: list[Tensor] = []
    plain: list[Tensor] = []
    _, trace = treat(lambda: lent(seen, **options), (action("Linear"),))
    lent(plain, **options)
    assert all(torch.equal(one, other) for one, other in zip(seen, plain, strict=True))
    assert not trace.applied


@pytest.mark.parametrize("wrong", [action(horizon=0.5), action(target="")])
def test_nonsense_is_refused(treat, wrong) -> None:
    with pytest.raises(ValueError, match="horizon|copy"):
        treat(lambda: trained([]), (wrong,))


def test_the_horizon_is_a_share_of_the_run() -> None:
    trace = Trace.of([{"event": "progress", "step": 1000}])
    space = REMEDY.space_for(trace)["horizon"]
    assert (space.low, space.default, space.high) == pytest.approx((20, 100, 300))


def test_targets_are_the_copies_that_are_named() -> None:
    rows = [["Net", "average.share", 1e-4]]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    symptom = Symptom(code="P313", name="x", severity=0.9, where="Net", message="")
    assert list(REMEDY.targets([symptom], trace)) == ["Net"]


def test_the_copy_that_a_stale_norm_belongs_to_is_one() -> None:
    rows = [["Net@train.py:9", "average.lag", 0.1]]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "eval", "rows": rows}])
    symptom = Symptom(code="P102", name="x", severity=0.9, where="Net#2:norm", message="")
    assert list(REMEDY.targets([symptom], trace)) == ["Net"]
    other = symptom.model_copy(update={"where": "norm"})
    assert list(REMEDY.targets([other], trace)) == []


def test_the_advice_states_the_decay() -> None:
    assert "a decay of 0.975 " in REMEDY.advice(action(horizon=40.0))
