"""The share of dropout modules."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def made(line: str, rewrite, target: str = "net.1") -> str:
    event = {"event": "module", "where": "net.1", "type": "Dropout", "source": "train.py:2"}
    text = f"from torch import nn\n{line}\n"
    return rewrite(text, "R313", target, Trace.of([event]), share=0.1).splitlines()[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("drop = nn.Dropout(0.9)", "drop = nn.Dropout(0.1)"),
        ("drop = nn.Dropout(p=0.9, inplace=True)", "drop = nn.Dropout(0.1, inplace=True)"),
        ("drop = nn.Dropout()", "drop = nn.Dropout(0.1)"),
        ("drop = nn.Dropout(0.05)", "drop = nn.Dropout(0.05)"),
    ],
)
def test_it_is_written(rewrite, before, after) -> None:
    assert made(before, rewrite) == after


def test_what_is_computed_is_not_written(rewrite) -> None:
    with pytest.raises(Unwritable):
        made("drop = nn.Dropout(share)", rewrite)
    with pytest.raises(Unwritable):
        made("drop = nn.Dropout(0.9)", rewrite, "net@train.py:3")
