"""The logits of a loss are multiplied where the loss is given them."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

HEAD = """\
from torch import nn
from torch.nn import functional as F
criterion = nn.CrossEntropyLoss()
likelihood = nn.NLLLoss()
"""


def scaled(rewrite, text: str, factor: float = 12.0, piece: str = "# loss") -> str:
    line = 1 + text[: text.index(piece)].count("\n")
    return rewrite(text, "R705", f"train.py:{line}", factor=factor)


def test_the_bundled_script_has_its_line_changed(rewrite, bundled) -> None:
    sick, _ = bundled("flat_logits")
    after = sick.replace("model(patterns[rows]), kinds", "16 * model(patterns[rows]), kinds")
    assert scaled(rewrite, sick, 16.0, "F.cross_entropy(model") == after != sick


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("criterion(net(x), y)", "criterion(12 * net(x), y)"),
        ("F.cross_entropy(a @ b.T / 9, y)", "F.cross_entropy(12 * (a @ b.T / 9), y)"),
        (
            "0.5 * (F.cross_entropy(s, y) + F.cross_entropy(s.T, y))",
            "0.5 * (F.cross_entropy(12 * s, y) + F.cross_entropy(12 * s.T, y))",
        ),
        ("F.nll_loss(p, y)", "F.nll_loss((12 * p).log_softmax(1), y)"),
        (
            "likelihood(F.log_softmax(s / 9, dim=1), y)",
            "likelihood(F.log_softmax(12 * (s / 9), dim=1), y)",
        ),
        ("F.nll_loss(net(x).log_softmax(1), y)", "F.nll_loss((12 * net(x)).log_softmax(1), y)"),
        ("criterion(p, y) + F.mse_loss(q, z)", "criterion(12 * p, y) + F.mse_loss(q, z)"),
    ],
)
def test_a_loss(rewrite, before, after) -> None:
    text = f"{HEAD}loss = {before}  # loss\n"
    assert scaled(rewrite, text) == text.replace(before, after)


@pytest.mark.parametrize(
    "line", ["other(p, y)", "criterion(*pair)", "criterion(input=p, target=y)", "F.mse_loss(p, y)"]
)
def test_what_is_not_plain_is_not_written(rewrite, line) -> None:
    with pytest.raises(Unwritable):
        scaled(rewrite, f"{HEAD}loss = {line}  # loss\n")
