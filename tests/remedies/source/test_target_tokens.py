"""Predictions that are compared with the token behind."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "loss = F.cross_entropy(y.view(-1, n), x.view(-1))",
            "loss = F.cross_entropy(y[:, :-1].reshape(-1, n), x[:, 1:].reshape(-1))",
        ),
        (
            "loss = criterion(net(x).flatten(0, 1), b['ids'].flatten(), reduction)",
            "loss = criterion(net(x)[:, :-1].flatten(0, 1), b['ids'][:, 1:].flatten(), reduction)",
        ),
        (
            "f(y.transpose(1, 2).reshape(n, m, -1), x.contiguous().view(n, -1)).backward()",
            "f(y[:, :-1].transpose(1, 2).reshape(n, m, -1), "
            "x[:, 1:].contiguous().reshape(n, -1)).backward()",
        ),
    ],
)
def test_a_loss(rewrite, before, after) -> None:
    text = "import torch\n{}\nloss.backward()\n"
    assert rewrite(text.format(before), "R909", "train.py:2") == text.format(after)


@pytest.mark.parametrize(
    "line",
    [
        "loss = F.cross_entropy(y, x)",  # Who knows where these were flattened.
        "loss = F.cross_entropy(y.transpose(1, 2), x)",
        "loss = F.cross_entropy(y.view(-1, n), target=x.view(-1))",
        "loss = f(y.view(-1, n), x.view(-1)) + g(z.view(-1, n), x.view(-1))",
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, line) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"import torch\n{line}\n", "R909", "train.py:2")
