from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.tap.spread import spread
from tests.probes.tap.observing import tapped


def test_rows_that_are_the_same_have_no_spread() -> None:
    same = torch.ones(16, 8) + 1e-4 * torch.randn(16, 8)
    assert spread(same, False)["spread.share"] < 1e-3
    found = spread(torch.randn(64, 8), False)
    assert found["spread.share"] > 0.9 and found["spread.rank"] > 5


def test_one_direction_has_rank_one() -> None:
    line = torch.randn(32, 1) * torch.randn(1, 16)
    assert spread(line, False)["spread.rank"] == pytest.approx(1.0, abs=1e-3)


def test_positions_of_one_sample_are_looked_at_by_themselves() -> None:
    samples = torch.randn(8, 1, 16).expand(8, 5, 16)
    found = spread(samples, False)
    assert found["spread.positions"] < 1e-6 and found["spread.share"] > 0.5


def test_rows_of_many_samples_are_not_all_of_one_moment() -> None:
    sequences = torch.randn(64, 9, 16)
    sequences[:, 0] = 1.0  # What every sequence begins with.
    assert spread(sequences, False)["spread.share"] > 0.5


def test_channels_of_an_image_are_averaged_over_their_places() -> None:
    images = torch.randn(8, 4, 1, 1).expand(8, 4, 6, 6)
    assert spread(images, True)["spread.width"] == 6.0 or spread(images, True)["spread.rank"] > 1
    assert "spread.positions" not in spread(images, True)


@pytest.mark.parametrize("shape", [(3, 8), (16,), (16, 1)], ids=str)
def test_too_little_to_tell(shape) -> None:
    assert spread(torch.randn(shape), False) == {}


def test_every_module_and_the_input_are_looked_at_in_training() -> None:
    with tapped() as observed:
        model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            model(torch.randn(16, 8)).square().mean().backward()
            optimizer.step()
    trace = observed.trace
    assert set(trace.places("spread.share")) == {"Sequential.input", "0", "1", "2", "Sequential"}
    keeps = {where: trace.signal("train", where, "spread.keeps").values for where in "012"}
    assert keeps == {"0": [1.0] * 5, "1": [0.0] * 5, "2": []}


class Decoder(nn.Module):
    """Begins with the same token for all."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 8)
        self.cell = nn.GRUCell(8, 8)

    def forward(self, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.cell(self.table(tokens), states)


@pytest.mark.parametrize(
    ("tokens", "seen"), [(torch.zeros(16).int(), 0), (torch.arange(16) % 9, 5)]
)
def test_a_lookup_of_one_entry_tells_nothing(tokens: torch.Tensor, seen: int) -> None:
    with tapped() as observed:
        model = Decoder()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            model(torch.randn(16, 8), tokens).square().mean().backward()
            optimizer.step()
    assert len(observed.trace.signal("train", "table", "spread.share")) == seen
    assert len(observed.trace.signal("train", "cell", "spread.share")) == 5
