"""The axis of the classes is moved in the source."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

LAST = {"axis": -1, "dims": 3, "same": 1, "last": 1}
FLAT = {"axis": 1, "dims": 2, "same": 0, "last": 1}
IMAGE = {"axis": -1, "dims": 4, "same": 1, "last": 1}
ROWS = {"axis": -1, "dims": 3, "same": 0, "last": 1}


def moved(rewrite: Callable[..., str], text: str, seen: dict[str, int], piece: str) -> str:
    line = f"train.py:{1 + text[: text.index(piece)].count(chr(10))}"
    rows = [[line, f"scramble.{name}", float(value)] for name, value in seen.items()]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    return rewrite(text, "R813", line, trace)


def test_the_bundled_script_becomes_the_healthy_one(rewrite, bundled) -> None:
    sick, healthy = bundled("scrambled_axes")
    assert moved(rewrite, sick, LAST, "scores.reshape(") == healthy


@pytest.mark.parametrize(
    ("seen", "before", "after"),
    [
        (LAST, "F.cross_entropy(p.view(n, c, -1), y)", "F.cross_entropy(p.transpose(1, 2), y)"),
        (LAST, "q = torch.reshape(p, shape)", "q = p.transpose(1, 2)"),
        (LAST, "q = (p + z).view(*shape)", "q = (p + z).transpose(1, 2)"),
        (IMAGE, "q = net(x).view((n, c, h, w))", "q = net(x).movedim(-1, 1)"),
        (
            FLAT,
            "loss(p.view(-1, c), y.view(-1)); p.view(8)",
            "loss(p.movedim(1, -1).reshape(-1, c), y.view(-1)); p.view(8)",
        ),
        (FLAT, "torch.reshape(p / 2, (-1, c))", "(p / 2).movedim(1, -1).reshape((-1, c))"),
        (ROWS, "return_ = p.view(n, c, -1)", "return_ = p.reshape(n, -1, c).movedim(-1, 1)"),
        (ROWS, "q = p.reshape([n, c, t])", "q = p.reshape(n, t, c).movedim(-1, 1)"),
        (
            ROWS | {"axis": 2},
            "q = p.view(n, c, t)",
            "q = p.movedim(2, -1).reshape(n, t, c).movedim(-1, 1)",
        ),
    ],
)
def test_a_reshape(rewrite, seen, before, after) -> None:
    text = f"import torch\n{before}  # here\n"
    assert moved(rewrite, text, seen, "# here") == text.replace(before, after)


def test_the_same_in_an_evaluation(rewrite) -> None:
    text = (
        "loss(net(x).view(-1, c), y)  # here\n"
        "loss(net(v).view(-1, c), w)\n"
        "other(net(v).view(-1, c), w)\n"
        "a = net(x).view(-1, c)\n"
        "b = net(v).view(-1, d)\n"
    )
    after = text.replace(
        "loss(net(x).view(", "loss(net(x).movedim(1, -1).reshape("
    ).replace("loss(net(v).view(", "loss(net(v).movedim(1, -1).reshape(").replace(
        "a = net(x).view(", "a = net(x).movedim(1, -1).reshape("
    )  # fmt: skip
    assert moved(rewrite, text, FLAT, "# here") == after


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (FLAT, "loss(p, y)"),
        (FLAT, "loss(p.view(-1, c) + q.view(-1, c), y)"),
        (FLAT, "loss(p.flatten(0, 1), y)"),
        (FLAT | {"last": 0}, "loss(p.view(-1, c), y)"),
        ({}, "loss(p.view(-1, c), y)"),
        (ROWS, "loss(p.view(shape), y)"),
        (ROWS, "loss(p.view(*shape), y)"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, seen, line) -> None:
    with pytest.raises(Unwritable):
        moved(rewrite, f"{line}  # here\n", seen, "# here")


def test_a_comment_stays(rewrite) -> None:
    with pytest.raises(Unwritable, match="comment"):
        moved(rewrite, "q = p.view(  # why\n    n, c, t)\n", LAST, "q = ")
