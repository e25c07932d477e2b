from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from probes.trace import Trace
from tests.probes.tap.observing import tapped


class Inject(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, cells: Tensor, context: Tensor) -> Tensor:
        return cells + 5 * self.attention(cells, context, context)[0]


class Factors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(8, 16), nn.Linear(8, 16)

    def forward(self, context: Tensor) -> dict[str, Tensor]:
        pooled = context.mean(1)
        return {
            "down": self.down(pooled).unflatten(1, (8, 2)),
            "up": self.up(pooled).unflatten(1, (2, 8)),
        }


class Net(nn.Module):
    """A stream to which modules add in every way that is told apart."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.stem, self.base = nn.Linear(3, 8), nn.Linear(8, 8)
        self.position = nn.Embedding(5, 8)
        self.inject, self.factors = Inject(), Factors()
        self.change = nn.Linear(8, 64)
        self.head = nn.Linear(8, 2)

    def step(self, hidden: Tensor) -> Tensor:
        return hidden + torch.tanh(self.base(hidden))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.stem(inputs)
        if self.way == "in place":
            hidden = 1.0 * hidden
            hidden += self.base(hidden.tanh())
        elif self.way == "branch first":
            out = 1.0 * self.base(hidden)
            out += hidden
            hidden = out
        elif self.way == "scaled":
            hidden = hidden + 2 * self.base(hidden).view_as(hidden)
        elif self.way == "checkpointed":
            hidden = checkpoint(self.step, hidden, use_reentrant=False)
        elif self.way == "injected":
            hidden = self.inject(hidden, hidden.detach())
        elif self.way == "factors":
            given = self.factors(hidden)
            hidden = self.base(hidden) + hidden @ given["down"] @ given["up"]
        elif self.way == "weights":
            change = self.change(hidden.mean((0, 1))).view(8, 8)
            hidden = nn.functional.linear(hidden, self.base.weight + change, self.base.bias)
        elif self.way == "embeddings":
            hidden = hidden + self.position(torch.arange(5))
        elif self.way == "two heads":
            hidden = self.stem(inputs) + self.base(hidden.detach())
        return self.head(hidden)


def program(way: str, steps: int = 3) -> nn.Module:
    torch.manual_seed(0)
    net = Net(way)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = net(torch.randn(4, 5, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def observe(make: Callable[[], nn.Module]) -> tuple[Trace, nn.Module]:
    with tapped() as observed:
        net = make()
    return observed.trace, net


@pytest.mark.parametrize(
    "way, expected",
    [
        ("in place", {"base"}),
        ("branch first", {"base"}),
        ("scaled", {"base"}),
        ("checkpointed", {"base"}),
        ("injected", {"inject", "inject.attention"}),
        ("factors", {"factors"}),
        ("weights", {"change"}),
        ("embeddings", set()),
        ("two heads", set()),
    ],
)
def test_what_is_added_to_the_stream_that_it_is_made_from(way, expected) -> None:
    trace, _ = observe(lambda: program(way))
    assert set(trace.places("branch.ratio")) == expected
    for where in expected:
        series = trace.signal("train", where, "branch.ratio")
        assert series.steps == [0, 1, 2]
        assert all(0.01 < value < 20 for value in series.values)


def test_a_module_that_adds_within_itself_tells_how_many_inputs_it_has() -> None:
    trace, _ = observe(lambda: program("injected"))
    assert trace.places("branch.inputs") == ["inject"]
    assert set(trace.signal("train", "inject", "branch.inputs").values) == {2.0}


@pytest.mark.parametrize("way", ["in place", "branch first", "scaled"])
def test_the_ratio_is_that_of_the_root_mean_squares(way) -> None:
    trace, _ = observe(lambda: program(way, steps=1))
    torch.manual_seed(0)
    net = Net(way)
    hidden = net.stem(torch.randn(4, 5, 3))
    branch = net.base(hidden.tanh() if way == "in place" else hidden)
    branch = branch * (2 if way == "scaled" else 1)
    expected = branch.square().mean().sqrt() / hidden.square().mean().sqrt()
    found = trace.signal("train", "base", "branch.ratio").values[0]
    assert found == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("way", ["in place", "checkpointed", "injected", "factors", "weights"])
def test_training_is_bit_identical_with_and_without_the_tap(way) -> None:
    bare = program(way, 20).state_dict()
    state = torch.get_rng_state()
    _, net = observe(lambda: program(way, 20))
    assert all(torch.equal(bare[name], value) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
