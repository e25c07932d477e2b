"""Attention is seen however it is written, and told from any other softmax."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.attention_scores import ahead_statistics, score_statistics
from probes.trace import Trace
from tests.probes.tap.observing import tapped


class Reader(nn.Module):
    """One head over six positions, written in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.query, self.key = nn.Linear(16, 16), nn.Linear(16, 16)
        self.whole = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.query(x), self.key(x)
        scores = q @ k.transpose(1, 2) * 0.25
        match self.way:
            case "by hand":
                weights = functional.softmax(scores, dim=-1)
                return functional.dropout(weights, 0.1, self.training) @ x
            case "einsum":
                return torch.einsum("bij,bjd->bid", scores.softmax(2), x)
            case "function":
                return functional.scaled_dot_product_attention(q, k, x, is_causal=True)
            case "module":
                mask = torch.ones(6, 6).triu(1).bool()
                return self.whole(x, x, x, attn_mask=mask)[0]
            case "twice":
                return functional.softmax(scores.softmax(2), dim=-1) @ x
            case "across":
                return torch.softmax(scores, dim=1) @ x
            case _:
                return functional.softmax(q, dim=-1)


def program(way: str) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), Reader(way))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        model(torch.randn(4, 6, 16)).square().mean().backward()
        optimizer.step()
    return model


def observe(way: str) -> Trace:
    with tapped() as observed:
        program(way)
    return observed.trace


@pytest.mark.parametrize(
    ("way", "where", "operation", "keys"),
    [
        ("by hand", "1", "softmax", 6.0),
        ("einsum", "1", "softmax", 6.0),
        ("function", "1", "scaled_dot_product_attention", 4.0),
        ("module", "1.whole", "multi_head_attention_forward", 4.0),
        ("across", "1", "softmax", 6.0),
        ("twice", "1", "softmax", 6.0),
    ],
)
def test_every_way_to_write_it(way, where, operation, keys) -> None:
    trace = observe(way)
    (info,) = trace.attentions.values()
    assert (info.where, info.operation) == (where, operation)
    assert info.source.startswith("test_attention.py:") and info.call.startswith(operation + "@")
    counts = trace.signal("train", where, "attention.keys").values
    assert counts == pytest.approx([keys] * 6)  # Of a causal mask, the mean of 2 to 6.
    across = trace.signal("train", where, "attention.across").values
    assert across == [1.0 if way == "across" else 0.0] * 6
    twice = trace.signal("train", where, "attention.twice").values
    assert twice == [1.0 if way == "twice" else 0.0] * 6


def test_a_softmax_that_is_multiplied_with_nothing_is_no_attention() -> None:
    assert not observe("classifier").attentions


@pytest.mark.parametrize("way", ["by hand", "function", "module"])
def test_training_is_the_same_with_and_without(way) -> None:
    bare = {key: value.clone() for key, value in program(way).state_dict().items()}
    with tapped():
        probed = program(way).state_dict()
    assert all(torch.equal(probed[key], value) for key, value in bare.items())


def test_how_sharp_scores_are() -> None:
    even = score_statistics(torch.zeros(3, 5, 4))
    assert even["attention.entropy"] == pytest.approx(1.0)
    assert even["attention.scale"] == 0.0
    one = torch.tensor([[50.0, 0.0, 0.0, -math.inf], [1.0, -math.inf, -math.inf, -math.inf]])
    sharp = score_statistics(one)  # The second query has one key: it is not counted.
    assert sharp["attention.entropy"] < 1e-6
    assert (sharp["attention.keys"], sharp["attention.top"]) == (3.0, pytest.approx(1.0))
    assert score_statistics(torch.zeros(3, 1)) == {}


def test_queries_of_many_samples_are_not_all_of_some_moments() -> None:
    scores = torch.zeros(64, 4, 32, 32)
    scores[:, :, ::16, 0] = 20.0
    assert score_statistics(scores)["attention.entropy"] == pytest.approx(30 / 32, abs=0.05)


def _hidden(kind: str, length: int = 8) -> torch.Tensor:
    hidden = torch.ones(length, length, dtype=torch.bool).triu(2 if kind == "off by one" else 1)
    if kind == "a prompt":
        hidden[:, : length // 2] = False
    return hidden if kind != "none" else torch.zeros_like(hidden)


@pytest.mark.parametrize(
    ("kind", "ahead"), [("causal", 0.0), ("off by one", 1.0), ("a prompt", 0.0), ("none", 1.0)]
)
def test_attention_that_looks_ahead(kind: str, ahead: float) -> None:
    scores = torch.randn(2, 3, 8, 8).masked_fill(_hidden(kind), -1e9)
    found = ahead_statistics(scores)
    assert (float(found["attention.ahead"]), found["attention.length"]) == (ahead, 8.0)


def test_attention_to_another_sequence_looks_nowhere_ahead() -> None:
    assert ahead_statistics(torch.randn(2, 8, 9)) == ahead_statistics(torch.randn(2, 3, 3)) == {}
