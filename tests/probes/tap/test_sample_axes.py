"""Along which axis the samples of a batch are taken to lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.trace import Trace
from tests.probes.tap.observing import observe, train


class Recurrent(nn.Module):
    """Reads (batch, time, 5); the hidden states come as (directions, batch, 4)."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(5, 4, bidirectional=True, batch_first=batch_first)
        self.head = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs, last = self.gru(inputs)
        if self.gru.batch_first:
            return self.head(last.view(inputs.shape[0], -1))
        return self.head(outputs[:, -1])


def read_sequences(model: nn.Module, samples: int, moments: int, labels: int) -> Trace:
    batches = [(torch.randn(samples, moments, 5), torch.randint(3, (labels,))) for _ in range(6)]
    return observe(lambda: train(model, iter(batches), functional.cross_entropy))


def test_samples_that_are_taken_for_moments() -> None:
    trace = read_sequences(Recurrent(batch_first=False), 6, 9, 6)
    assert set(trace.signal("train", "gru", "samples.in_time").values) == {1.0}
    assert not trace.places("samples.axis")


def test_samples_that_a_view_mixes() -> None:
    trace = read_sequences(Recurrent(batch_first=True), 6, 9, 6)
    assert not trace.places("samples.in_time")
    (line,) = trace.places("samples.axis")
    assert set(trace.signal("train", line, "samples.axis").values) == {1.0}
    assert trace.signal("train", line, "samples.axis").values


class Tagger(Recurrent):
    """Labels every moment of one sequence, as layers are given them without ``batch_first``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.gru(inputs)[0].view(len(inputs), -1))


@pytest.mark.parametrize("samples", [1, 6])
def test_moments_along_the_first_axis_are_left_alone(samples: int) -> None:
    if samples == 1:
        trace = read_sequences(Tagger(batch_first=False), 9, 1, 9)
    else:  # As many moments as samples: nobody can tell.
        trace = read_sequences(Recurrent(batch_first=False), 6, 6, 6)
    assert 1.0 not in trace.signal("train", "gru", "samples.in_time").values
    assert not trace.places("samples.axis")


class Forecaster(nn.Module):
    """Tells of as many moments as the width of its head, from the last state or from each."""

    def __init__(self, axis: int | None, batch_first: bool = False) -> None:
        super().__init__()
        self.axis = axis
        self.lstm = nn.LSTM(5, 4, batch_first=batch_first)
        self.head = nn.Linear(4, 7)

    def forward(self, inputs: Tensor) -> Tensor:
        states = self.lstm(inputs)[0]
        return self.head(states if self.axis is None else states.select(self.axis, -1))


def forecast(model: nn.Module, targets: tuple[int, ...]) -> Trace:
    batches = [(torch.randn(6, 9, 5), torch.randn(targets)) for _ in range(6)]
    return observe(lambda: train(model, iter(batches), functional.smooth_l1_loss))


def test_several_targets_of_a_sample_tell_of_it_too() -> None:
    trace = forecast(Forecaster(axis=1), (6, 7))
    assert set(trace.signal("train", "lstm", "samples.in_time").values) == {1.0}


@pytest.mark.parametrize(("axis", "targets"), [(None, (6, 9, 7)), (0, (9, 7))])
def test_targets_of_moments_are_left_alone(axis: int | None, targets: tuple[int, ...]) -> None:
    trace = forecast(Forecaster(axis), targets)
    assert 1.0 not in trace.signal("train", "lstm", "samples.in_time").values


class Gated(nn.Module):
    """A mixture of six experts, each of which is a column."""

    def __init__(self, axis: int | None, inside: bool = True) -> None:
        super().__init__()
        self.axis, self.inside = axis, inside
        self.gate, self.experts = nn.Linear(5, 6), nn.Linear(5, 6)

    def forward(self, inputs: Tensor) -> Tensor:
        scores = self.gate(inputs)
        if self.inside:
            scores = functional.softmax(scores, dim=self.axis)
        return (scores * self.experts(inputs)).sum(1)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize(
    ("axis", "samples", "inside", "compete"),
    [
        (0, 8, True, {1.0}),
        (1, 8, True, {0.0}),
        (None, 8, True, {0.0}),
        (0, 6, True, {0.0}),  # As many samples as experts: nobody can tell.
        (0, 8, False, set()),  # A loss may have a softmax of any kind.
    ],
)
def test_samples_that_compete_in_a_softmax(axis, samples, inside, compete) -> None:
    torch.manual_seed(0)
    model = Gated(axis, inside)

    def loss(made: Tensor, wanted: Tensor) -> Tensor:
        if not inside:
            made = (made[:, None] + wanted[:, None].new_zeros(6)).softmax(0).sum(1)
        return functional.mse_loss(made, wanted)

    batches = [(torch.randn(samples, 5), torch.randn(samples)) for _ in range(4)]
    trace = observe(lambda: train(model, iter(batches), loss))
    lines = trace.places("samples.compete")
    found = [v for at in lines for v in trace.signal("train", at, "samples.compete").values]
    assert set(found) == compete and len(found) == 4 * len(compete)
