"""An attribute that freezes nothing becomes the call that does."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def trace(line: int, below: str = "Linear") -> Trace:
    row = [f"body@train.py:{line}", "frozen.misplaced", 1.0]
    return Trace.of(
        [
            {"event": "module", "where": "body.0", "type": below},
            {"event": "signals", "step": 1, "phase": "train", "rows": [row]},
        ]
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("net.body.requires_grad = False", "net.body.requires_grad_(False)"),
        (
            "for p in net.body.parameters(): p.require_grad = False",
            "for p in net.body.parameters(): p.requires_grad_(False)",
        ),
    ],
)
def test_it_is_written(rewrite, before, after) -> None:
    assert rewrite(f"net = make()\n{before}\n", "R807", "body", trace(2)) == (
        f"net = make()\n{after}\n"
    )


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("setattr(net.body, 'requires_grad', False)", trace(1)),
        ("a.requires_grad = b.requires_grad = False", trace(1)),
        ("net.body.requires_grad = False", trace(1, "Dropout")),
        ("net.body.requires_grad = False", Trace()),
    ],
)
def test_what_cannot_be_told_is_not_written(rewrite, line, seen) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"{line}\n", "R807", "body", seen)
