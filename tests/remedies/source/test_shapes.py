"""The two sides of a loss get the same shape."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def aligned(rewrite: Callable[..., str], text: str, piece: str = "# loss") -> str:
    line = 1 + text[: text.index(piece)].count("\n")
    rows = [[f"train.py:{line}", "loss.broadcast", 1.0], ["train.py:1", "loss.broadcast", 0.0]]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    return rewrite(text, "R811", "loss", trace)


def test_the_bundled_script_has_its_line_changed(rewrite, bundled) -> None:
    sick, _ = bundled("silent_broadcast")
    after = sick.replace(
        "mse_loss(predicted, lives[rows])", "mse_loss(predicted, lives[rows].reshape_as(predicted))"
    )
    assert aligned(rewrite, sick, "mse_loss") == after


HEAD = "from torch import nn\ncriterion = nn.SmoothL1Loss()\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss = criterion(net(x), y)", "loss = criterion(net(x).reshape_as(y), y)"),
        ("loss = ((y - net(x)) ** 2).mean()", "loss = ((y - net(x).reshape_as(y)) ** 2).mean()"),
        ("loss = -(logp * adv).mean()", "loss = -(logp * adv.reshape_as(logp)).mean()"),
        ("loss = w * ((p - y) ** 2).mean()", "loss = w * ((p - y.reshape_as(p)) ** 2).mean()"),
        ("nn.functional.l1_loss(p, s * y)", "nn.functional.l1_loss(p, (s * y).reshape_as(p))"),
    ],
)
def test_a_loss(rewrite, before, after) -> None:
    text = f"{HEAD}{before}  # loss\n"
    assert aligned(rewrite, text) == text.replace(before, after)


@pytest.mark.parametrize(
    "line",
    [
        "loss = criterion(net(x), data[i])",
        "loss = other(p, y)",
        "loss = criterion(*pair)",
        "loss = criterion(p, y) + criterion(q, z)",
        "loss = (p - y - z).mean()",
        "loss = (1 - p).mean()",
        "loss = (p * y * z).mean()",
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, line) -> None:
    with pytest.raises(Unwritable):
        aligned(rewrite, f"{HEAD}{line}  # loss\n")
