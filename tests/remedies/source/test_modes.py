"""``train()`` in the loop, and ``eval()`` before validation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def mode(phase: str, line: int, training: float, backward: int) -> Trace:
    row = [f"Net@train.py:{line}", "mode.training", training]
    return Trace.of(
        [
            {"event": "signals", "step": 1, "phase": phase, "rows": [row]},
            {"event": "loop", "where": "opt", "backward": f"train.py:{backward}"},
        ]
    )


def restored(rewrite: Callable[..., str], text: str, training: float, line: int = 0) -> str:
    backward = 1 + text[: text.index(".backward()")].count("\n")
    phase = "eval" if training else "train"
    return rewrite(text, "R803", "Net", mode(phase, line, training, backward))


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("wrong_mode")
    assert restored(rewrite, sick, 0.0, 43) == healthy


FUNCTIONS = """import torch
def train(model, opt, data):
    \"\"\"An epoch.\"\"\"
{0}    for x in data:
        model(x).sum().backward()
        opt.step()

def validate(net, data):
    with torch.no_grad():
        # one by one
        return [net(x) for x in data]

net.eval()
"""


def test_a_function_for_each_epoch(rewrite) -> None:
    added = "    model.train()\n"
    before = FUNCTIONS.format("") + "m.parameters(), model.parameters()\n"
    after = FUNCTIONS.format(added) + "m.parameters(), model.parameters()\n"
    assert restored(rewrite, before, 0.0, 13) == after


def test_evaluation_in_the_midst_of_an_epoch(rewrite) -> None:
    text = (
        "for model in folds:\n    opt = make(model.parameters())\n    for e in range(9):\n"
        "        for x in data:\n{0}            self.net(x).backward()\n"
        "            if e:\n                self.net.eval()\n"
    )
    added = "            self.net.train()\n"
    assert restored(rewrite, text.format(""), 0.0) == text.format(added)


def test_evaluation_mode_is_written(rewrite) -> None:
    text = (
        "import torch\nmodel.parameters()\nfor e in range(9):\n{0}    for x in data:\n"
        "        model(x).backward()\n    # validation\n{1}    with torch.no_grad():\n"
        "        y = model(x)\n"
    )
    after = text.format("    model.train()\n", "    model.eval()\n")
    assert restored(rewrite, text.format("", ""), 1.0, 8) == after


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model.parameters()\nmodel(x).backward()\n", 0),
        ("for x in d: model(x).backward()\nmodel.parameters()\n", 0),
        ("for x in d:\n    b(a(x)).backward()\na.eval(), b.eval()\n", 0),
        ("for x in d:\n    m = f(m.parameters())\n    m(x).backward()\n", 0),
        ("for x in d:\n    m(x).backward()\nm.parameters()\nm(y)\n", 4),
    ],
    ids=["no loop", "one line", "two models", "a model for each", "no block"],
)
def test_what_is_not_clear_is_not_written(rewrite, text, line) -> None:
    with pytest.raises(Unwritable):
        restored(rewrite, text, float(bool(line)), line)
