"""Calls of attention that get a causal mask."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

HEAD = """\
import torch
from torch import nn
import torch.nn.functional as F

encoder = nn.TransformerEncoder(layer, 2)
other = Other(batch_first=True)
"""
PRODUCT, SOFTMAX = "scaled_dot_product_attention", "softmax"
MODULE = "multi_head_attention_forward"


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        (
            PRODUCT,
            "y = F.scaled_dot_product_attention(q, k, v)",
            "y = F.scaled_dot_product_attention(q, k, v, is_causal=True)",
        ),
        (
            PRODUCT,
            "y = F.scaled_dot_product_attention(q, k, v, None, 0.1, False)",
            "y = F.scaled_dot_product_attention(q, k, v, None, 0.1, True)",
        ),
        (
            SOFTMAX,
            "w = F.softmax(scores, dim=-1)",
            "w = F.softmax(scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), "
            'float("-inf")), dim=-1)',
        ),
        (
            MODULE,
            "h = encoder(x)",
            "h = encoder(x, mask=nn.Transformer.generate_square_subsequent_mask("
            "x.shape[1], device=x.device))",
        ),
    ],
)
def test_a_call(rewrite, operation, before, after) -> None:
    after_all = rewrite(f"{HEAD}{before}\n", "R910", f"{operation}@train.py:7")
    assert after_all == f"{HEAD}{after}\n"


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (PRODUCT, "y = F.scaled_dot_product_attention(q, k, v, mask)"),
        (SOFTMAX, "w = (scores + bias).softmax(-1)"),
        (MODULE, "h = encoder(x, mask)"),
        (MODULE, "h = encoder(embed(x))"),
        (MODULE, "h = other(x)"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, operation, line) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"{HEAD}{line}\n", "R910", f"{operation}@train.py:7")
