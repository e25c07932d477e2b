"""A softmax before a loss that has its own, written out of the script."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


@pytest.fixture
def softmax_seen() -> Callable[[str], Trace]:
    """A run with a softmax and a sigmoid module before a loss."""

    def seen(loss: str) -> Trace:
        place = f"train.py:5|1|softmax|{loss}"
        return Trace.of(
            [
                _module("1", "Softmax"),
                _module("2", "Sigmoid"),
                {"event": "term", "where": "loss", "source": "train.py:5"},
                {
                    "event": "signals",
                    "step": 1,
                    "phase": "train",
                    "rows": [[place, "loss.activated", 1.0]],
                },
            ]
        )

    return seen


def _module(where: str, kind: str) -> dict:
    return {"event": "module", "where": where, "type": kind, "source": "train.py:2", "parent": ""}


def test_a_softmax_module_is_written_out_of_the_script(rewrite, softmax_seen) -> None:
    text = "from torch import nn\nmodel = nn.Sequential(nn.Linear(8, 3), nn.Softmax(dim=1))\n"
    changed = rewrite(text, "R810", "1", softmax_seen("cross_entropy"))
    assert changed == text.replace("nn.Softmax(dim=1)", "nn.Identity()")
    changed = rewrite(text, "R810", "1", softmax_seen("nll_loss"))
    assert changed == text.replace("nn.Softmax(dim=1)", "nn.LogSoftmax(dim=1)")


@pytest.mark.parametrize("target", ["loss", "2"])
def test_other_activations_are_not_written(rewrite, softmax_seen, target: str) -> None:
    with pytest.raises(Unwritable):
        rewrite("import torch\n", "R810", target, softmax_seen("cross_entropy"))
