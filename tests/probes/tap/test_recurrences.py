"""States that go around in a loop: which cuts are told of, and which are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.trace import Trace
from tests.probes.tap.observing import line_of, tapped

ROUNDS = "recurrence.rounds"
FRAMES = torch.arange(120.0).reshape(10, 3, 4).sin()

Loss = Callable[["Parts"], Tensor]


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.deeper = nn.GRUCell(4, 4), nn.GRUCell(4, 4)
        self.pair = nn.LSTMCell(4, 4)
        self.layer = nn.LSTM(4, 4)
        self.batches, self.forwards = nn.GRU(4, 4, batch_first=True), nn.RNN(4, 4)
        self.mix = nn.Linear(8, 4)
        self.stack = nn.ModuleList(nn.Linear(4, 4) for _ in range(8))
        self.codes = nn.Embedding(6, 4)
        self.heads = nn.MultiheadAttention(4, 2)
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.kept: Tensor = torch.zeros(3, 4)


def observe(loss: Loss, steps: int = 4, accumulate: int = 1) -> Trace:
    with tapped() as observed:
        train(loss, steps, accumulate)
    return observed.trace


def train(loss: Loss, steps: int = 4, accumulate: int = 1) -> Parts:
    torch.manual_seed(0)
    parts = Parts()
    optimizer = torch.optim.SGD(parts.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(accumulate):
            loss(parts).backward()
        optimizer.step()
    return parts


def cell(parts: Parts) -> Tensor:
    state = torch.zeros(3, 4)
    for frame in FRAMES:
        state = parts.cell(frame, state).detach()
    return parts.cell(FRAMES[0], state).mean()


def data(parts: Parts) -> Tensor:
    state = torch.zeros(3, 4)
    for frame in FRAMES:
        state = parts.cell(frame, state.data)
    return state.mean()


def joined(parts: Parts) -> Tensor:
    state, loss = torch.zeros(3, 4), torch.zeros(())
    for frame in FRAMES:
        state = torch.tanh(parts.mix(torch.cat([frame, state.detach()], 1)))
        loss = loss + state.mean()
    return loss


def by_hand(parts: Parts) -> Tensor:
    state = torch.zeros(3, 4)
    for frame in FRAMES:
        state = torch.tanh(frame + state.detach() @ parts.weight)
    return state.mean()


def pair(parts: Parts) -> Tensor:
    h = c = torch.zeros(3, 4)
    for frame in FRAMES:
        h, c = parts.pair(frame, (h, c))
        h, c = h.detach(), c.detach()
    return sum(parts.pair(FRAMES[0], (h, c))).mean()


def repackaged(parts: Parts) -> Tensor:
    state = (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4))
    for frame in FRAMES:
        output, state = parts.layer(frame[None], tuple(each.detach() for each in state))
    return output.mean()


def single_frames(parts: Parts) -> Tensor:
    state = torch.zeros(1, 3, 4)
    for frame in FRAMES:
        output, state = parts.batches(frame[:, None], state.detach())
    return output.mean()


def memory(parts: Parts) -> Tensor:
    written = torch.zeros(11, 3, 4)
    for time, frame in enumerate(FRAMES):
        state = parts.cell(frame, written[time].clone())
        written[time + 1] = state.detach()
    return state.mean()


def in_turns(parts: Parts) -> Tensor:
    state = torch.zeros(3, 4)
    for frame in FRAMES:
        state = parts.cell(frame, state).detach()
        state = parts.cell(frame, state).detach()
    return parts.cell(FRAMES[0], state).mean()


def in_two_rows(parts: Parts) -> Tensor:
    rows = torch.zeros(2, 3, 4)
    for frame in FRAMES:
        state = parts.pair(frame, (rows[0].clone(), rows[1].clone()))
        rows[0] = state[0].detach()
        rows[1] = state[1].detach()
    return parts.pair(FRAMES[0], (rows[0], rows[1]))[0].mean()


def read_out(parts: Parts) -> Tensor:
    state, loss = torch.zeros(3, 4), torch.zeros(())
    for frame in FRAMES:
        state = parts.cell(frame, state).detach()
        loss = loss + parts.stack[0](state).mean()
    return loss


def two_deep(parts: Parts) -> Tensor:
    states = [torch.zeros(3, 4), torch.zeros(3, 4)]
    for frame in FRAMES:
        for number, layer in enumerate((parts.cell, parts.deeper)):
            states[number] = frame = layer(frame, states[number].detach())
    return frame.mean()


@pytest.mark.parametrize(
    ("loss", "where", "rounds"),
    [
        (cell, "cell", 9.0),
        (data, "cell", 8.0),
        (joined, "mix", 8.0),
        (by_hand, "Parts", 8.0),
        (pair, "pair", 9.0),
        (repackaged, "layer", 8.0),
        (single_frames, "batches", 8.0),
        (memory, "cell", 9.0),
        (read_out, "cell", 9.0),
    ],
)
def test_a_state_that_is_cut_in_each_round(loss: Loss, where: str, rounds: float) -> None:
    trace = observe(loss)
    (place,) = trace.places(ROUNDS)
    assert place.partition("@")[0] == where
    assert trace.signal("train", place, ROUNDS).values == [rounds] * 4
    kind = "data" if loss is data else "detach"
    assert f".{kind}" in line_of(place)
    assert place in trace.places(f"cut.{kind}")
    assert set(trace.signal("train", place, "recurrence.carried").values) == {0.0}


def test_two_layers_that_are_cut_by_the_same_line() -> None:
    (place,) = observe(two_deep).places(ROUNDS)
    assert "states[number].detach()" in line_of(place)


@pytest.mark.parametrize("loss", [in_turns, in_two_rows])
def test_two_lines_that_cut_in_turns(loss: Loss) -> None:
    trace = observe(loss)
    assert len(trace.places(ROUNDS)) == 2
    for place in trace.places(ROUNDS):
        assert trace.signal("train", place, ROUNDS).values == [9.0] * 4


def test_two_tensors_that_are_cut_in_two_lines() -> None:
    def loss(parts: Parts) -> Tensor:
        h = c = torch.zeros(3, 4)
        for frame in FRAMES:
            h, c = parts.pair(frame, (h, c))
            h = h.detach()
            c = c.detach()
        return sum(parts.pair(FRAMES[0], (h, c))).mean()

    places = observe(loss).places(ROUNDS)
    assert [line_of(place)[:5] for place in places] == ["h = h", "c = c"]


def test_what_a_step_takes_over_from_the_one_before_is_told() -> None:
    def loss(parts: Parts) -> Tensor:
        for frame in FRAMES:
            parts.kept = parts.cell(frame, parts.kept.detach())
        return parts.kept.mean()

    trace = observe(loss)
    (place,) = trace.places(ROUNDS)
    assert trace.signal("train", place, "recurrence.carried").values == [0.0, 1.0, 1.0, 1.0]


def test_only_the_first_steps_are_watched() -> None:
    trace = observe(cell, steps=9)
    (place,) = trace.places(ROUNDS)
    assert trace.signal("train", place, ROUNDS).steps == [0, 1, 2, 3]


def chunks(every: int) -> Loss:
    def loss(parts: Parts) -> Tensor:
        state = torch.zeros(3, 4)
        for time, frame in enumerate(FRAMES.repeat(4, 1, 1)):
            state = parts.cell(frame, state)
            if time % every == 0:
                state = state.detach()
        return parts.cell(FRAMES[0], state).mean()

    return loss


def layers_over_chunks(parts: Parts) -> Tensor:
    loss = torch.zeros(())
    state = (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4))
    for chunk in FRAMES.split(2):
        output, state = parts.layer(chunk, (state[0].detach(), state[1].detach()))
        loss = loss + output.mean()
    return loss


def attends_over_chunks(parts: Parts) -> Tensor:
    loss, memory = torch.zeros(()), torch.zeros(2, 3, 4)
    for chunk in FRAMES.split(2):
        hidden, _ = parts.heads(chunk, seen := torch.cat([memory, chunk]), seen)
        loss, memory = loss + hidden.mean(), hidden.detach()
    return loss


def batches_over_chunks(parts: Parts) -> Tensor:
    loss, state = torch.zeros(()), torch.zeros(1, 3, 4)
    for chunk in FRAMES.split(2):
        output, state = parts.batches(chunk.transpose(0, 1), state.detach())
        loss = loss + output.mean()
    return loss


def packed_over_chunks(parts: Parts) -> Tensor:
    loss, state = torch.zeros(()), torch.zeros(1, 3, 4)
    for chunk in FRAMES.split(2):
        packed = nn.utils.rnn.pack_padded_sequence(chunk, torch.tensor([2, 2, 1]))
        output, state = parts.forwards(packed, state.detach())
        loss = loss + output.data.mean()
    return loss


def scaled(parts: Parts) -> Tensor:
    state = torch.zeros(3, 4)
    for frame in FRAMES:
        state = parts.cell(frame, state)
        state = state / state.norm().detach()
    return state.mean()


def logged(parts: Parts) -> Tensor:
    state, loss, sums = torch.zeros(3, 4), torch.zeros(()), torch.zeros(())
    for frame in FRAMES:
        state = parts.cell(frame, state)
        loss = loss + state.mean()
        sums = sums + state.mean().detach() + loss.detach()
    return loss


def partly(parts: Parts) -> Tensor:
    h = c = torch.zeros(3, 4)
    for frame in FRAMES:
        h, c = parts.pair(frame, (h.detach(), c))
    return h.mean()


def residual(parts: Parts) -> Tensor:
    state = FRAMES[0]
    for _ in range(8):
        state = state + parts.mix(torch.cat([state.detach(), FRAMES[1]], 1))
    return state.mean()


def layer_by_layer(parts: Parts) -> Tensor:
    hidden, loss = FRAMES[0], torch.zeros(())
    for layer in parts.stack:
        hidden = layer(hidden.detach()).tanh()
        loss = loss + hidden.mean()
    return loss


def quantised(parts: Parts) -> Tensor:
    rest, total = parts.mix(torch.cat([FRAMES[0], FRAMES[1]], 1)), torch.zeros(3, 4)
    for _ in range(6):
        code = parts.codes(torch.cdist(rest, parts.codes.weight).argmin(1))
        total = total + code + functional.mse_loss(code, rest.detach())
        rest = rest - code.detach()
    return total.mean() + (rest + (total - rest).detach()).mean()


def tokens(parts: Parts) -> Tensor:
    token, state, loss = torch.zeros(3, dtype=torch.long), torch.zeros(3, 4), torch.zeros(())
    for _ in range(8):
        state = parts.cell(parts.codes(token), state)
        scores = state @ parts.codes.weight.T
        token = scores.detach().argmax(1)
        loss = loss + scores.mean()
    return loss


def acts(parts: Parts) -> Tensor:
    place, loss = torch.zeros(3, 4), torch.zeros(())
    for frame in FRAMES:
        spread = torch.distributions.Normal(parts.mix(torch.cat([frame, place], 1)), 1.0)
        action = spread.sample()
        loss = loss - (spread.log_prob(action) * spread.log_prob(action).detach()).mean()
        place = place + 0.1 * action
    return loss


def imagined(parts: Parts) -> Tensor:
    """The actor is shown a detached state; the dynamics are not."""
    state = torch.zeros(3, 4)
    for _ in range(8):
        action = parts.stack[0](state.detach())
        state = parts.mix(torch.cat([state, action], 1)).tanh()
    return state.mean()


def refined(parts: Parts) -> Tensor:
    """The coordinates are detached, as in RAFT; the hidden state of the updates is not."""
    place, state, loss = torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(())
    for _ in range(8):
        place = place.detach()
        state = parts.cell(place, state)
        place = place + parts.stack[0](state)
        loss = loss + place.square().mean()
    return loss


NEAR_MISSES = [
    chunks(2),
    chunks(10),
    layers_over_chunks,
    attends_over_chunks,
    batches_over_chunks,
    packed_over_chunks,
    scaled,
    logged,
    partly,
    residual,
    layer_by_layer,
    quantised,
    tokens,
    acts,
    imagined,
    refined,
]


@pytest.mark.parametrize("loss", NEAR_MISSES, ids=lambda loss: loss.__name__)
def test_what_looks_like_it_and_is_not(loss: Loss) -> None:
    assert not observe(loss).places(ROUNDS)


def one_round(parts: Parts) -> Tensor:
    parts.kept = parts.cell(FRAMES[0], parts.kept.detach())
    return parts.kept.mean()


@pytest.mark.parametrize("accumulate", [1, 6])
def test_a_cut_between_two_backward_passes_is_right(accumulate: int) -> None:
    assert not observe(one_round, accumulate=accumulate).places(ROUNDS)


@pytest.mark.parametrize("loss", [cell, data, pair, repackaged, memory, two_deep, quantised])
def test_training_stays_bit_identical(loss: Loss) -> None:
    bare = train(loss).state_dict()
    with tapped():
        probed = train(loss)
    assert all(torch.equal(bare[key], value) for key, value in probed.state_dict().items())
