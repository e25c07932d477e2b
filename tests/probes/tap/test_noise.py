"""Noise on activations is seen where it is added, and nothing else is taken for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence
from torch.nn import functional

from probes.tap.noise import noise_statistics
from probes.trace import Trace
from tests.probes.tap.observing import tapped

Sampler = Callable[[Tensor, Tensor], Tensor]


class Encoder(nn.Module):
    def __init__(self, sample: Sampler) -> None:
        super().__init__()
        self.project = nn.Linear(6, 8)
        self.sample = sample

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, raw = self.project(inputs).chunk(2, -1)
        std = 3 * raw.sigmoid() + 0.1
        return self.sample(mean, std), mean, std


class Autoencoder(nn.Module):
    def __init__(self, sample: Sampler) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(sample), nn.Linear(4, 6)
        self.auxiliary = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        code, mean, std = self.encoder(inputs)
        return self.decoder(code), self.auxiliary(mean), mean, std


def train(sample: Sampler, steps: int = 12) -> nn.Module:
    """A variational autoencoder with an auxiliary head and weight decay as a loss term."""
    torch.manual_seed(0)
    model = Autoencoder(sample)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(steps):
        inputs = torch.randn(16, 6)
        model.train()
        restored, guess, mean, std = model(inputs)
        error = functional.mse_loss(restored, inputs)
        side = functional.mse_loss(guess, inputs[:, :2])
        decay = model.encoder.project.weight.square().sum()
        kl = kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum(1).mean()
        loss = error + side + 0.01 * decay + 0.1 * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 6 == 5:
            model.eval()
            with torch.no_grad():
                model(torch.randn(5, 6))
    return model


def observe(sample: Sampler) -> Trace:
    with tapped() as observed:
        train(sample)
    return observed.trace


def added(mean: Tensor, std: Tensor) -> Tensor:
    eps = torch.randn_like(std)
    return mean + eps * std


def added_in_place(mean: Tensor, std: Tensor) -> Tensor:
    return torch.randn_like(std).mul(std).add_(mean)


def added_to_the_mean_in_place(mean: Tensor, std: Tensor) -> Tensor:
    code = mean.clone()
    code += torch.empty_like(std).normal_() * std
    return code


def distribution(mean: Tensor, std: Tensor) -> Tensor:
    return Independent(Normal(mean, std), 1).rsample()


def several_samples(mean: Tensor, std: Tensor) -> Tensor:
    return Normal(mean, std).rsample((7,)).mean(0)


def correlated(mean: Tensor, std: Tensor) -> Tensor:
    return MultivariateNormal(mean, torch.diag_embed(std**2)).rsample()


def fused(mean: Tensor, std: Tensor) -> Tensor:
    return torch.normal(mean, std)


def in_one_call(mean: Tensor, std: Tensor) -> Tensor:
    return torch.addcmul(mean, std, torch.randn(mean.shape))


def uniform(mean: Tensor, std: Tensor) -> Tensor:
    return mean - 2 * (torch.rand_like(mean) - 0.5) * math.sqrt(3) * std


SAMPLERS = [
    added,
    added_in_place,
    added_to_the_mean_in_place,
    distribution,
    several_samples,
    correlated,
    fused,
    in_one_call,
    uniform,
]
each = pytest.mark.parametrize("sample", SAMPLERS, ids=lambda sample: sample.__name__)


@each
def test_training_is_bit_identical_with_and_without_the_tap(sample: Sampler) -> None:
    bare, bare_state = train(sample).state_dict(), torch.get_rng_state()
    with tapped():
        probed = train(sample).state_dict()
    assert all(torch.equal(bare[key], probed[key]) for key in bare)
    assert torch.equal(bare_state, torch.get_rng_state())


@each
def test_every_way_to_sample_is_seen_at_its_line(sample: Sampler) -> None:
    trace = observe(sample)
    assert list(trace.noises) == ["encoder"]
    line = int((trace.noises["encoder"].source or "").split(":")[1])
    text = Path(__file__).read_text().splitlines()[line - 1]
    assert any(word in text for word in ("return", "code +=")), text
    ratios = trace.signal("train", "encoder", "noise.ratio").values
    # std is about 1.6, the spread of the mean about 0.6; of the same scale for every way.
    assert 1.5 < ratios[0] < 5
    assert trace.signal("train", "encoder", "noise.dimensions").values[0] == 4
    assert trace.signal("train", "encoder", "noise.needed").values[0] == 4
    # Not the auxiliary head's on the mean, nor the weight decay.
    assert len(trace.terms) == 4
    assert trace.places("noise.rate") == ["kl"]


def test_evaluation_is_told_apart() -> None:
    trace = observe(added)
    assert trace.signal("eval", "encoder", "noise.ratio").steps == [6, 12]

    def mean_in_evaluation(mean: Tensor, std: Tensor) -> Tensor:
        return added(mean, std) if torch.is_grad_enabled() else mean

    assert not observe(mean_in_evaluation).signal("eval", "encoder", "noise.ratio")


def dropout(mean: Tensor, std: Tensor) -> Tensor:
    return functional.dropout(mean, 0.5) + std


def hand_made_dropout(mean: Tensor, std: Tensor) -> Tensor:
    return mean * (torch.rand_like(mean) < 0.5) / 0.5 + std


def stochastic_depth(mean: Tensor, std: Tensor) -> Tensor:
    keep = 0.8 + torch.rand(len(mean), 1)
    keep.floor_()
    return mean + std.div(0.8) * keep


def multiplicative(mean: Tensor, std: Tensor) -> Tensor:
    return mean + std * (1 + 0.3 * torch.randn_like(std))


def generator_input(mean: Tensor, std: Tensor) -> Tensor:
    latent = torch.cat([torch.randn(len(mean), 4), std.detach()], 1)
    return mean + latent.sum(1, keepdim=True).sigmoid()


def policy_sample(mean: Tensor, std: Tensor) -> Tensor:
    return mean + 0 * Normal(mean, std).sample()


def noise_on_data(mean: Tensor, std: Tensor) -> Tensor:
    noised = torch.ones_like(mean) + torch.randn_like(mean)
    return mean * noised + std


def reused_buffer(mean: Tensor, std: Tensor) -> Tensor:
    buffer = torch.randn_like(mean)
    buffer.copy_(std.detach())
    return mean + buffer


def random_input(mean: Tensor, std: Tensor) -> Tensor:
    latent = torch.randn_like(mean)
    return latent + std * functional.linear(latent, torch.eye(4))


def diffusion(mean: Tensor, std: Tensor) -> Tensor:
    noise = torch.randn_like(mean)
    noised = 0.6 * torch.ones_like(mean) + 0.8 * noise
    return (std * noised.tanh() - noise) ** 2 + mean


@pytest.mark.parametrize(
    "sample",
    [
        dropout,
        hand_made_dropout,
        stochastic_depth,
        multiplicative,
        generator_input,
        policy_sample,
        noise_on_data,
        reused_buffer,
        random_input,
        diffusion,
    ],
    ids=lambda sample: sample.__name__,
)
def test_other_randomness_is_no_such_noise(sample: Sampler) -> None:
    assert not observe(sample).noises


def test_noise_on_parameters_is_no_such_noise() -> None:
    def program() -> None:
        weight = nn.Parameter(torch.randn(5, 4))
        queries = nn.Parameter(torch.randn(1, 4))
        optimizer = torch.optim.SGD([weight, queries], lr=0.1)
        for _ in range(3):
            noisy = weight + torch.randn_like(weight)
            slots = queries.expand(5, -1) + torch.randn(5, 4)
            (noisy * slots).sum().backward()
            optimizer.step()

    with tapped() as observed:
        program()
    assert not observed.trace.noises


def test_a_second_line_of_the_same_module_has_its_number() -> None:
    def twice(mean: Tensor, std: Tensor) -> Tensor:
        once = mean + torch.randn_like(mean)
        return once + std * torch.randn_like(std)

    first, second = observe(twice).noises.values()
    assert (first.where, second.where) == ("encoder", f"encoder@{second.source.split(':')[1]}")


def test_the_capacity_is_that_of_gaussian_channels() -> None:
    torch.manual_seed(0)
    signal = torch.randn(20_000, 3) * torch.tensor([4.0, 1.0, 0.1])
    found = noise_statistics(signal, signal + 2 * torch.randn(20_000, 3))
    ratios = [4.0, 0.25, 0.0025]
    expected = sum(0.5 * math.log2(1 + ratio) for ratio in ratios)
    assert float(found["noise.capacity"]) == pytest.approx(expected, rel=0.03)
    assert float(found["noise.best"]) == pytest.approx(4.0, rel=0.03)
    assert float(found["noise.active"]) == pytest.approx(1 / 3)
    spread = math.sqrt((16 + 1 + 0.01) / 3)
    assert float(found["noise.ratio"]) == pytest.approx(2 / spread, rel=0.03)


def test_samples_are_told_from_draws() -> None:
    signal = torch.randn(6, 3)
    expanded = signal.expand(50, 6, 3)
    found = noise_statistics(expanded, expanded + torch.randn(50, 6, 3))
    assert found["noise.needed"] == pytest.approx(math.log2(6))
    assert noise_statistics(torch.randn(1, 3), torch.randn(1, 3)) == {}
    assert noise_statistics(torch.randn(9), torch.randn(9)) == {}
