"""Gradients clipped before the step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def clipped(rewrite: Callable[..., str], text: str, limit: float = 0.5) -> str:
    line = 1 + text[: text.index(".step(")].count("\n")
    trace = Trace.of([{"event": "loop", "where": "opt", "stepped": f"train.py:{line}"}])
    return rewrite(text, "R305", trace=trace, max_norm=limit)


def test_the_bundled_script_gets_one_line(rewrite, bundled) -> None:
    sick, _ = bundled("exploding_gradients")
    step = "            optimizer.step()\n"
    clip = "            nn.utils.clip_grad_norm_(model.parameters(), 0.123)\n"
    assert clipped(rewrite, sick, 0.12345) == sick.replace(step, clip + step)


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ("self.opt = optim.SGD(self.net.parameters(), lr=1)", "self.net.parameters()"),
        ("net = 1; self.opt = optim.SGD(net.parameters(), lr=1)", None),
        ("self.opt = optim.SGD(chosen(net), lr=1)", None),
    ],
)
def test_what_the_optimizer_holds(rewrite, made, given) -> None:
    text = (
        f"import torch\nfrom torch import optim\nclass T:\n    def __init__(self, net):\n"
        f"        {made}\n    def fit(self):\n        for x in data:\n            f(x).backward()\n"
        "            # one step\n{0}            self.opt.step()\n"
    )
    given = given or '[p for group in self.opt.param_groups for p in group["params"]]'
    clip = f"            torch.nn.utils.clip_grad_norm_({given}, 0.5)\n"
    assert clipped(rewrite, text.format("")) == text.format(clip)


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nscaler.step(opt)\n",
        "import torch\na = opt.step()\n",
        "import torch\ntorch.nn.utils.clip_grad_value_(ps, 1)\nopt.step()\n",
        "opt.step()\n",
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        clipped(rewrite, text)


def loosened(rewrite: Callable[..., str], text: str, factor: float = 1e5) -> str:
    line = 1 + text[: text.rindex("clip_grad_")].count("\n")
    row = [f"train.py:{line}", "clip.limit", 1e-5]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": [row]}])
    return rewrite(text, "R309", trace=trace, factor=factor)


def test_the_limit_of_the_bundled_script_is_multiplied(rewrite, bundled) -> None:
    sick, _ = bundled("always_clipping")
    after = sick.replace("args.max_norm)", "100000 * args.max_norm)")
    assert loosened(rewrite, sick) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("clip_grad_norm_(ps, 1e-5)", "clip_grad_norm_(ps, 1.0)"),
        ("clip_grad_norm_(ps, max_norm=a + b)", "clip_grad_norm_(ps, max_norm=100000 * (a + b))"),
        ("clip_grad_value_(ps, clip_value=1e-6)", "clip_grad_value_(ps, clip_value=0.1)"),
    ],
)
def test_a_limit_is_multiplied(rewrite, before, after) -> None:
    name = before.partition("(")[0]
    text = f"from torch.nn.utils import {name}\n{before}  # steady\n"
    assert loosened(rewrite, text) == text.replace(before, after)


@pytest.mark.parametrize(
    "call", ["clip_grad_norm_(ps, **limits)", "accelerator.clip_grad_norm_(1)"]
)
def test_a_limit_that_is_elsewhere_is_not_written(rewrite, call) -> None:
    with pytest.raises(Unwritable):
        loosened(rewrite, f"from torch.nn.utils import *\n{call}\n")
