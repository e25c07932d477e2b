"""Parameters that are drawn where they were made as zeros, or set to zeros."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

SCRIPT = """\
import torch
from torch import nn


class Adapter(nn.Module):
    def __init__(self, layer, rank):
        super().__init__()
        self.a = nn.Parameter(torch.zeros(rank, layer.in_features))
        self.b = nn.Parameter(torch.zeros(layer.out_features, rank))
"""
RESET = SCRIPT + "        nn.init.zeros_(self.a)\n        nn.init.constant_(self.b, 0.0)\n"
DRAWN = "        nn.init.kaiming_uniform_(self.a, a=5 ** 0.5)\n"


def told(*names: str) -> Trace:
    marks = {"elements": 8.0, "zeros": 1.0, "fresh": 1.0}
    rows = [[name, f"blocked.{mark}", value] for name in names for mark, value in marks.items()]
    for row in rows:
        row[2] *= 4 if row[:2] == ["0.b", "blocked.elements"] else 1  # Not the larger of the two.
    rows.append(["adam", "held.elements", 16.0])
    return Trace.of(
        {"event": "signals", "step": step, "phase": "train", "rows": rows} for step in range(5)
    )


BOTH = told("0.a", "0.b", "1.a", "1.b")


def test_the_first_is_drawn_behind_the_line_that_makes_it(rewrite) -> None:
    lines = SCRIPT.splitlines(keepends=True)
    assert rewrite(SCRIPT, "R505", trace=BOTH) == "".join([*lines[:-1], DRAWN, lines[-1]])


def test_it_is_drawn_where_it_was_set_to_zeros(rewrite) -> None:
    after = rewrite(RESET, "R505", trace=BOTH)
    assert after == RESET.replace("        nn.init.zeros_(self.a)\n", DRAWN)


def test_the_weights_of_layers_are_drawn_where_they_are_set(rewrite) -> None:
    script = (
        "from torch import nn\nnet = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2))\n"
        "for m in net:\n    nn.init.zeros_(m.weight)\n    nn.init.zeros_(m.bias)\n"
    )
    after = rewrite(script, "R505", trace=told("0.weight", "0.bias", "1.weight"))
    assert after == script.replace("zeros_(m.weight)", "kaiming_uniform_(m.weight, a=5 ** 0.5)")


@pytest.mark.parametrize(
    ("script", "trace"),
    [
        (SCRIPT, told("0.a", "0.b", "1.c")),
        (SCRIPT.replace("self.a", "self.c"), BOTH),
        (SCRIPT + SCRIPT.replace("Adapter", "Other"), BOTH),
    ],
)
def test_what_is_not_clear_is_left_to_a_person(rewrite, script, trace) -> None:
    with pytest.raises(Unwritable):
        rewrite(script, "R505", trace=trace)
