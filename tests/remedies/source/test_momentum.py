"""The momentum of a norm, in its constructor."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def written(rewrite, line: str, how: str, rest: str = "") -> str:
    event = {"event": "module", "where": "n", "type": "BatchNorm2d", "source": "train.py:2"}
    trace = Trace.of([{**event, "parameters": 16, "running_statistics": True}])
    text = f"from torch import nn\nn = {line}\n{rest}"
    return rewrite(text, "R102", "n", trace, how=how).splitlines()[1][4:]


@pytest.mark.parametrize(
    ("line", "how", "wanted"),
    [
        ("nn.BatchNorm2d(8, momentum=0.001)", "momentum", "nn.BatchNorm2d(8, momentum=0.1)"),
        ("nn.BatchNorm2d(8, 1e-3, 0.01)", "momentum", "nn.BatchNorm2d(8, eps=1e-3, momentum=0.1)"),
        ("nn.BatchNorm2d(8)", "cumulative", "nn.BatchNorm2d(8, momentum=None)"),
    ],
)
def test_the_momentum_is_written(rewrite, line, how, wanted) -> None:
    assert written(rewrite, line, how) == wanted


@pytest.mark.parametrize(
    ("how", "rest"),
    [
        ("recalibrate", ""),
        ("momentum", "n.momentum = 0.5\n"),
        ("momentum", "n.momentum *= 0.5\n"),
        ("cumulative", "setattr(n, 'momentum', 0.5)\n"),
    ],
)
def test_what_would_not_be_the_same_is_not_written(rewrite, how, rest) -> None:
    with pytest.raises(Unwritable):
        written(rewrite, "nn.BatchNorm2d(8, momentum=0.001)", how, rest)
