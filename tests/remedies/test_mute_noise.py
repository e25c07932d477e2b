from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from probes import Objective, Trace, probes
from remedies import Action, remedies

SCRIPT = Path(__file__).parents[1] / "sick" / "stochastic_bottleneck.py"
Sampler = Callable[[Tensor, Tensor], Tensor]


def program(sample: Sampler) -> nn.Module:
    """Trains an encoder whose noise has another place of noise and dropout behind it."""
    torch.manual_seed(0)
    model = Coder(sample)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(16):
        inputs = torch.randn(8, 4)
        model.train(step % 8 != 7)
        code, output = model(inputs)
        loss = (output - inputs[:, :1]).square().mean() + 0.01 * code.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.drawn = torch.rand(3)
    return model


class Encoder(nn.Module):
    def __init__(self, sample: Sampler) -> None:
        super().__init__()
        self.project, self.sample = nn.Linear(4, 6), sample

    def forward(self, inputs: Tensor) -> Tensor:
        mean, raw = self.project(inputs).chunk(2, -1)
        return self.sample(mean, raw.sigmoid())


class Coder(nn.Module):
    def __init__(self, sample: Sampler) -> None:
        super().__init__()
        self.encoder, self.dropout = Encoder(sample), nn.Dropout(0.2)
        self.decoder = nn.Linear(3, 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        code = self.dropout(self.encoder(inputs))
        blurred = code + 0.1 * torch.randn_like(code)
        return code, self.decoder(blurred)


def added(mean: Tensor, std: Tensor) -> Tensor:
    return mean + torch.randn_like(std) * std


def added_in_place(mean: Tensor, std: Tensor) -> Tensor:
    return torch.randn_like(std).mul(std).add_(mean)


def added_to_the_mean_in_place(mean: Tensor, std: Tensor) -> Tensor:
    code = mean.clone()
    code += torch.randn_like(std) * std
    return code


def distribution(mean: Tensor, std: Tensor) -> Tensor:
    return Normal(mean, std).rsample()


def in_one_call(mean: Tensor, std: Tensor) -> Tensor:
    return torch.addcmul(mean, torch.randn_like(std), std)


def fused(mean: Tensor, std: Tensor) -> Tensor:
    return torch.normal(mean, std)


def only_the_mean(mean: Tensor, std: Tensor) -> Tensor:
    torch.randn_like(std)
    return mean


def mute(place: str) -> Action:
    return remedies["mute-noise"].default(place)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and torch.equal(one.drawn, other.drawn)


@pytest.mark.parametrize(
    "sample",
    [added, added_in_place, added_to_the_mean_in_place, distribution, in_one_call, fused],
    ids=lambda sample: sample.__name__,
)
def test_it_trains_as_if_the_script_took_the_mean(treat: Any, sample: Sampler) -> None:
    wanted = program(only_the_mean)
    model, trace = treat(lambda: program(sample), (mute("encoder"),))
    assert same(model, wanted), "bit for bit, with all other noise and dropout as it was"
    assert [event["target"] for event in trace.applied] == ["encoder"]
    untreated, _ = treat(lambda: program(sample), ())
    assert not same(untreated, wanted)


def test_what_is_measured_is_what_is_trained_on(treat: Any) -> None:
    _, trace = treat(lambda: program(added), (mute("encoder"),))
    assert set(trace.signal("train", "encoder", "noise.ratio").values) == {0.0}
    assert min(trace.signal("train", "Coder", "noise.ratio").values) > 0.0


def test_several_places_can_be_muted(treat: Any) -> None:
    _, trace = treat(lambda: program(added), (mute("encoder"), mute("Coder")))
    assert sorted(event["target"] for event in trace.applied) == ["Coder", "encoder"]
    for place in ("encoder", "Coder"):
        assert set(trace.signal("train", place, "noise.ratio").values) == {0.0}


def test_a_place_that_is_not_there_is_inert(treat: Any) -> None:
    model, trace = treat(lambda: program(added), (mute("decoder"),))
    assert not trace.applied and same(model, program(added))


def test_without_symptoms_every_place_is_a_target(treat: Any) -> None:
    _, trace = treat(lambda: program(added), ())
    assert list(remedies["mute-noise"].targets([], trace)) == ["encoder", "Coder"]


def test_nonsense_is_refused(treat: Any) -> None:
    with pytest.raises(ValueError, match="needs a place"):
        treat(lambda: program(added), (mute(""),))


def test_for_noise_the_kl_term_is_what_is_dropped(make_kl: Trace) -> None:
    symptom = next(iter(probes["P401"].read(make_kl)))
    assert list(remedies["drop-term"].targets([symptom], make_kl)) == ["kl"]


@pytest.fixture
def make_kl() -> Trace:
    names = {"ratio": 4.0, "capacity": 1.0, "needed": 6.0, "best": 0.1, "active": 0.0}
    rows = [["encoder", f"noise.{name}", value] for name, value in names.items()]
    rows += [["encoder", "noise.dimensions", 8.0], ["kl", "noise.rate", 1.0]]
    rows += [[term, "term.share", 0.5] for term in ("task", "kl")]
    event = {"event": "signals", "phase": "train", "rows": rows}
    return Trace.of(event | {"step": step} for step in range(10))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "name, target", [("mute-noise", "Forecaster"), ("drop-term", "divergence")]
)
def test_it_cures_a_script(run_script: Callable[..., Trace], name: str, target: str) -> None:
    for seed in (1, 2):
        control = run_script(SCRIPT, "--rounds", "5", seed=seed)
        treatment = (remedies[name].default(target),)
        treated = run_script(SCRIPT, "--rounds", "5", treatment=treatment, seed=seed)
        objective = Objective.infer(control)
        assert objective is not None
        assert objective.final(control) > 0.9 and objective.final(treated) < 0.5
        assert treated.applied
        assert not [s for p in probes for s in p.read(treated, objective) if s.alarming]
