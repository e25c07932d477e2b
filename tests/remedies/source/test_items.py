"""Rows that are copied where an item is read."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

SCRIPT = """\
class Images:
    def __getitem__(self, i):
        image = self.pixels[i]{0}
        image += noise()
        return image, self.labels[i]
"""


def rewritten(rewrite, facts, script, is_array=0.0):
    trace = facts({})
    rows = [("Images.pixels|train.py:2", "data.changed", 1.0)]
    rows += [("Images.pixels|train.py:2", "data.is_array", is_array)]
    trace.feed({"event": "signals", "step": 1, "phase": "train", "rows": rows})
    return rewrite(script, "R908", "Images.pixels", trace)


@pytest.mark.parametrize(("is_array", "copied"), [(0.0, ".clone()"), (1.0, ".copy()")])
def test_the_row_is_copied(rewrite, facts, is_array, copied) -> None:
    after = rewritten(rewrite, facts, SCRIPT.format(""), is_array)
    assert after == SCRIPT.format(copied)


@pytest.mark.parametrize(
    ("old", "new"),
    [("= self.pixels[i]", "= self.pixels[i] / 2"), ("self.labels", "self.pixels"), ("self.p", "p")],
)
def test_other_ways_to_take_it_stay(rewrite, facts, old, new) -> None:
    with pytest.raises(Unwritable):
        rewritten(rewrite, facts, SCRIPT.format("").replace(old, new))
