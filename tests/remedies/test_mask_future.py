"""Attention, however it is computed, sees nothing of what comes later."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies
from remedies.surgery.attention import masked_call
from tests.remedies.training import place_of

LENGTH = 6


class Attention(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.project = nn.Linear(8, 24)
        self.module = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        query, key, value = self.project(x).chunk(3, -1)
        if self.kind == "softmax":
            scores = query @ key.mT / math.sqrt(8)
            return scores.softmax(dim=-1) @ value  # softmax
        if self.kind == "multi_head_attention_forward":
            return self.module(x, x, x, attn_mask=mask)[0]  # multi_head_attention_forward
        attend = functional.scaled_dot_product_attention
        return attend(query, key, value, mask)  # scaled_dot_product_attention


def program(kind: str, mask: Tensor | None = None):
    def run() -> nn.Module:
        torch.manual_seed(0)
        model = Attention(kind)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        x = torch.randn(2, LENGTH, 8, requires_grad=True)
        model(x, mask)[:, 2].sum().backward()
        optimizer.step()
        model.seen = x.grad.abs().sum((0, 2)) > 0
        return model

    return run


KINDS = ["softmax", "multi_head_attention_forward", "scaled_dot_product_attention"]


def mask_future(kind: str):
    return (remedies["R910"].default(f"{kind}@{place_of(__file__, f'# {kind}')}"),)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_what_comes_later_is_seen(treat, kind: str) -> None:
    model, trace = treat(program(kind), mask_future(kind))
    assert model.seen.tolist() == [True] * 3 + [False] * 3
    assert [event["remedy"] for event in trace.applied] == ["R910"]
    assert treat(program(kind), ())[0].seen.all()


SECOND = torch.arange(LENGTH) == 1  # Hidden by the script.
ADDED = torch.zeros(LENGTH, LENGTH).masked_fill(SECOND, -math.inf)


@pytest.mark.parametrize(
    ("kind", "mask"),
    [
        (KINDS[1], SECOND.expand(LENGTH, -1)),
        (KINDS[1], ADDED),
        (KINDS[2], ~SECOND.expand(LENGTH, -1)),
        (KINDS[2], ADDED),
    ],
)
def test_what_was_masked_stays_so(treat, kind: str, mask: Tensor) -> None:
    model, _ = treat(program(kind, mask), mask_future(kind))
    assert model.seen.tolist() == [True, False, True, False, False, False]


def test_a_single_new_token_is_left_alone() -> None:
    query, key = torch.randn(1, 2, 1, 4), torch.randn(1, 2, 5, 4)
    product = functional.scaled_dot_product_attention
    assert masked_call(product, (query, key, key), {}) is NotImplemented
    assert masked_call(functional.softmax, (query @ key.mT, -1), {}) is NotImplemented
