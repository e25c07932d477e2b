"""``zero_grad`` behind the step."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

LOOP = """
for x in data:
    loss = f(x)
    {0}
    {1}
    print(loss)  # stays
"""


def stepped(line: int) -> Trace:
    return Trace.of([{"event": "loop", "where": "opt", "stepped": f"train.py:{line}"}])


def test_gradients_are_cleared_behind_the_step(rewrite) -> None:
    before = LOOP.format("loss.backward()", "self.opt.step()")
    after = LOOP.format("loss.backward()", "self.opt.step()\n    self.opt.zero_grad()")
    assert rewrite(before, "R801", trace=stepped(5)) == after


def test_clearing_is_moved_behind_the_step(rewrite) -> None:
    before = LOOP.format("loss.backward()\n    opt.zero_grad()", "opt.step()")
    after = LOOP.format("loss.backward()", "opt.step()\n    opt.zero_grad()")
    assert rewrite(before, "R805", trace=stepped(6)) == after


@pytest.mark.parametrize(
    ("step", "line", "code"),
    [
        ("scaler.step(opt)", 5, "R801"),
        ("opt.step(closure)", 5, "R801"),
        ("a = opt.step()", 5, "R801"),
        ("opt.step()", 6, "R801"),
        ("opt.step()", 5, "R805"),
    ],
)
def test_what_is_not_clear_is_not_written(rewrite, step, line, code) -> None:
    with pytest.raises(Unwritable):
        rewrite(LOOP.format("loss.backward()", step), code, trace=stepped(line))
