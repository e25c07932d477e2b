"""The step of a schedule behind the loop over the batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def moved(rewrite: Callable[..., str], text: str, **params: object) -> str:
    step = text.index("opt.step()") if "opt.step()" in text else text.index("optimizer.step()")
    line = 1 + text[:step].count("\n")
    metrics = [{"event": "metric", "step": s, "name": "loss", "value": 1.0} for s in (50, 100)]
    loop = {"event": "loop", "where": "opt", "stepped": f"train.py:{line}"}
    given = {"how": "slower", "every": 40.0, **params}
    return rewrite(text, "R806", trace=Trace.of([loop, *metrics]), **given)


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("scheduler_cadence")
    assert moved(rewrite, sick) == healthy


TEXT = """from torch.optim.lr_scheduler import CosineAnnealingLR
class T:
    def fit(self):
        self.plan = CosineAnnealingLR(self.opt, 10)
        while self.epoch < 10:
            for x in self.data:
                self.opt.step()
{0}                print(x)
{1}            # the epoch is over
            self.epoch += 1
"""


def test_a_trainer(rewrite) -> None:
    step = "self.plan.step()\n"
    after = TEXT.format("", " " * 12 + step)
    assert moved(rewrite, TEXT.format(" " * 16 + step, "")) == after


@pytest.mark.parametrize(
    ("step", "params"),
    [
        ("self.plan.step()", {"how": "hold"}),
        ("self.plan.step()", {"every": 7.0}),
        ("self.plan.step(x)", {}),
        ("if x: self.plan.step()", {}),
        ("self.plan.step()\n                if x: break", {}),
        ("self.other.step()", {}),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, step, params) -> None:
    with pytest.raises(Unwritable):
        moved(rewrite, TEXT.format(f"                {step}\n", ""), **params)
