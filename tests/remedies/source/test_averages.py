"""A moving average gets another decay, wherever it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def closer(
    rewrite: Callable[..., str],
    text: str,
    share: float = 1e-4,
    piece: str = "# update",
    horizon: float = 40.0,
    every: int = 1,
) -> str:
    line = 1 + text[: text.index(piece)].count("\n")
    events = [
        {
            "event": "signals",
            "step": step,
            "phase": "train",
            "rows": [["Net", "average.share", 0.0 if step % every else share]],
        }
        for step in range(40)
    ]
    events[0]["rows"].append([f"Net@train.py:{line}", "average.written", 1.0])
    return rewrite(text, "R315", "Net", Trace.of(events), horizon=horizon)


def test_the_bundled_script_has_its_decay_changed(rewrite, bundled) -> None:
    sick, _ = bundled("lagging_average")
    assert closer(rewrite, sick, piece="average.lerp_(") == sick.replace("0.9999", "0.975")


INLINE = [
    "s.lerp_(p, {rest})",
    "s.lerp_(p, weight={rest})",
    "s.copy_(torch.lerp(s, p, {rest}))",
    "s.mul_({decay}).add_(p, alpha={rest})",
    "s.mul_({decay}).add_((1 - {decay}) * p)",
    "s.data = {decay} * s.data + {rest} * p.data",
    "s.data = s.data * {decay} + p.data * (1 - {decay})",
    "torch._foreach_lerp_(s, p, {rest})",
    "s.sub_({rest} * (s - p))",
    "s += (1 - {decay}) * (p - s)",
    "s.data -= (s - p).data * {rest}",
    "average = AveragedModel(net, avg_fn=lambda s, p, n: {decay} * s + {rest} * p)",
]


@pytest.mark.parametrize("statement", INLINE)
def test_numbers_where_the_average_is_computed(rewrite, statement) -> None:
    text = "import torch\nfor s, p in pairs:\n    " + statement + "  # update\n"
    after = text.format(decay="0.975", rest="0.025")
    assert closer(rewrite, text.format(decay="0.9999", rest="1e-4")) == after


def test_two_statements_in_one_loop(rewrite) -> None:
    text = "for s, p in pairs:\n    s.mul_({0})  # update\n    s.add_(p, alpha={1})\n"
    assert closer(rewrite, text.format("0.9999", "1e-4")) == text.format("0.975", "0.025")


def test_the_same_number_elsewhere_stays(rewrite) -> None:
    text = "for s, p in pairs:\n    s.lerp_(p, {0})  # update\nbias.mul_(0.0001)\n"
    assert closer(rewrite, text.format("0.0001")) == text.format("0.025")


CLASS = """\
class Average:
    def __init__(self, model, decay{default}):
        self.decay = decay

    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.lerp_(p, 1 - self.decay)  # update


"""


@pytest.mark.parametrize(
    ("default", "given"),
    [
        ("", "Average(net, {0})"),
        ("", "Average(net, decay={0})"),
        ("=0.999", "Average(net, {0})"),
        ("=0.9999", "Average(net, {0})"),
        ("", "HALF, DECAY = 0.5, {0}\naverage = Average(net, DECAY)"),
        ("", "settings = dict(ema={0})\naverage = Average(net, settings['ema'])"),
        ("", "settings = {{'ema': {0}}}\naverage = Average(net, settings['ema'])"),
        ("", "parser.add_argument('--ema-decay', default={0})\nAverage(net, args.ema_decay)"),
        ("", "class Settings:\n    ema: float = {0}\n\n\nAverage(net, settings.ema)"),
    ],
)
def test_a_number_that_is_given(rewrite, default, given) -> None:
    text = CLASS.format(default=default) + given + "\nAdam(net.parameters(), lr=1e-4)\n"
    assert closer(rewrite, text.format("0.9999")) == text.format("0.975")


def test_a_default_that_nobody_overrides(rewrite) -> None:
    before, after = (
        CLASS.format(default=default) + "Average(net)\n" for default in ("=0.9999", "=0.975")
    )
    assert closer(rewrite, before) == after


TORCH = """\
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn({0}))
average.update_parameters(net)  # update
"""


@pytest.mark.parametrize(("given", "share"), [("0.9999", 1e-4), ("decay=0.9995", 5e-4), ("", 1e-3)])
def test_torchs_averaged_model(rewrite, given, share) -> None:
    key = "decay=" if given.startswith("decay") else ""
    assert closer(rewrite, TORCH.format(given), share) == TORCH.format(f"{key}0.975")


def test_an_average_that_is_updated_now_and_then_needs_a_lower_decay(rewrite) -> None:
    text = "s.lerp_(p, 0.0001)  # update\n"
    assert closer(rewrite, text, every=4) == text.replace("0.0001", "0.1")


@pytest.mark.parametrize(
    "text",
    [
        "s.lerp_(p, 1 - decay(step))  # update\n",
        "s.lerp_(p, 0.01)  # update\n",
        "s.copy_(mixed)  # update\n",
        CLASS.format(default="") + "Average(net, 0.9999)\nAverage(net, 0.9999)\n",
        TORCH.format(""),
    ],
    ids=["computed", "another number", "elsewhere", "twice", "another default"],
)
def test_what_is_not_a_number_is_not_written(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        closer(rewrite, text)


SHADOW = """\
def update(shadow, model, decay):
    for name, p in model.named_parameters():
        shadow[name] = decay * shadow[name] + (1 - decay) * p.data


update(shadow, model, {0})
"""


def test_an_average_that_is_told_from_its_evaluations(rewrite) -> None:
    rows = [["Net", "average.pace", 1.1e-4]]
    trace = Trace.of([{"event": "signals", "step": 20, "phase": "train", "rows": rows}])
    after = rewrite(SHADOW.format("0.9999"), "R315", "Net", trace, horizon=40.0)
    assert after == SHADOW.format("0.975")
    with pytest.raises(Unwritable):
        rewrite(SHADOW.format("0.999"), "R315", "Net", trace, horizon=40.0)


def test_a_copy_that_was_not_seen_to_move(rewrite) -> None:
    with pytest.raises(Unwritable, match="seen"):
        rewrite("s.lerp_(p, 0.0001)\n", "R315", "Net", Trace(), horizon=40.0)
    with pytest.raises(Unwritable, match="several"):
        rewrite("s.lerp_(p, 0.0001)\n", "R315", "Net,Net/2", Trace(), horizon=40.0)
