"""Checkpoint calls: of the non-reentrant kind."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

NAMED = "from torch.utils.checkpoint import checkpoint\n"


def called_at(*lines: int) -> Trace:
    rows = [[f"net@train.py:{line}", "checkpoint.reentrant", 1.0] for line in lines]
    return Trace.of([{"event": "signals", "step": 0, "phase": "train", "rows": rows}])


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (f"{NAMED}y = checkpoint(f, x, use_reentrant=True)\n", "True)|False)"),
        (f"{NAMED}y = checkpoint(f, x)  # cheap\n", "x)|x, use_reentrant=False)"),
        (f"{NAMED}y = checkpoint(f, *xs)\n", "xs)|xs, use_reentrant=False)"),
        (
            "import torch.utils.checkpoint as cp\ny = cp.checkpoint(\n    f,\n    x,\n)\n",
            "    x,\n|    x,\n    use_reentrant=False,\n",
        ),
        (
            "import torch\ny = torch.utils.checkpoint.checkpoint_sequential(s, 2, x)\n",
            "x)|x, use_reentrant=False)",
        ),
    ],
)
def test_the_keyword_is_written(rewrite, text, after) -> None:
    old, new = after.split("|")
    assert rewrite(text, "R601", trace=called_at(2), to="non-reentrant") == text.replace(old, new)


@pytest.mark.parametrize(
    "text",
    [
        "from functools import partial\n" + NAMED + "run = partial(checkpoint, use_reentrant=True)",
        f"{NAMED}y = checkpoint(f, x, **options)",
        f"{NAMED}y = checkpoint(\n    f,  # the block\n    x,\n)",
        f"{NAMED}y = 1",
        f"{NAMED}checkpoint(g, x)\ny = f(x)",
    ],
    ids=["partial", "options", "comment", "no call", "another line"],
)
def test_what_is_not_certain_is_not_written(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        line = 3 if "y = f(x)" in text or "partial" in text else 2
        rewrite(text + "\n", "R601", trace=called_at(line), to="non-reentrant")


def test_without_a_checkpoint_is_advice(rewrite) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"{NAMED}y = checkpoint(f, x)\n", "R601", trace=called_at(2), to="off")
