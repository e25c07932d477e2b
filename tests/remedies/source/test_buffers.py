"""A copy of a model takes over the buffers, wherever it takes in the parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

CLASS = """
import torch

class Average:
    @torch.no_grad()
    def update(self, model):
        for own, now in zip(self.model.parameters(), model.parameters(), strict=True):
            own.lerp_(now, 0.01)  # update
        self.count += 1
"""
ALONG = """\
        for own, now in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(now)
"""


def along(rewrite: Callable[..., str], text: str, lag: float = 0.1) -> str:
    line = 1 + text[: text.index("# update")].count("\n")
    rows = [["Net", "average.share", 0.01], [f"Net@train.py:{line}", "average.written", 1.0]]
    looks = [["Net@train.py:90", "average.lag", lag]]
    events = [
        {"event": "signals", "step": 1, "phase": "train", "rows": rows},
        {"event": "signals", "step": 9, "phase": "eval", "rows": looks},
        {"event": "progress", "step": 10},
    ]
    return rewrite(text, "R315", "Net", Trace.of(events), horizon=40.0)


@pytest.mark.parametrize(
    "statement",
    ["own.lerp_(now, 0.01)", "own.mul_(0.99).add_(now, alpha=0.01)", "own.data = 0.9 * own + now"],
)
def test_the_loop_over_the_buffers_is_behind_that_over_the_parameters(rewrite, statement) -> None:
    text = CLASS.replace("own.lerp_(now, 0.01)", statement)
    place = text.index("        self.count")
    assert along(rewrite, text) == text[:place] + ALONG + text[place:]


def test_whichever_comes_first(rewrite) -> None:
    text = CLASS.replace("for own, now in", "for now, own in")
    assert "for now, own in zip(self.model.buffers(), model.buffers(), strict=True):\n" in along(
        rewrite, text
    )
    assert "own.copy_(now)" in along(rewrite, text)


def test_an_averaged_model_does_so_itself(rewrite) -> None:
    text = (
        "from torch.optim.swa_utils import AveragedModel\n"
        "average = AveragedModel(net)\naverage.update_parameters(net)  # update\n"
    )
    after = text.replace("AveragedModel(net)\n", "AveragedModel(net, use_buffers=True)\n")
    assert along(rewrite, text) == after


def test_an_average_that_lags_gets_another_decay_instead(rewrite) -> None:
    assert along(rewrite, CLASS, lag=0.9) == CLASS.replace("0.01", "0.025")


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nfor s, p in pairs:\n    s.lerp_(p, 0.01)  # update\n",
        CLASS.replace("own.lerp_(now, 0.01)", "blend(own, now)"),
        CLASS.replace("own.lerp_(now, 0.01)", "own.lerp_(now, 0.01); now.add_(own)"),
    ],
    ids=["other pairs", "elsewhere", "both change"],
)
def test_what_is_not_clear_is_left_to_a_person(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        along(rewrite, text)
