"""A norm around what a forward returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.patch import write_patch
from probes.trace import Event, Trace
from remedies import Action

TOP = "from torch.nn import functional as F\n"
BODY = "class Encoder(Module):\n    def forward(self, context):\n"


def seen(alone: float = 1.0, other: float | None = None) -> Trace:
    """What a run tells of an encoder, and of another of its class with this alignment."""
    places = {"encoder": None} | ({"other": other} if other is not None else {})
    events: list[Event] = [
        {"event": "module", "where": where, "type": "Encoder", "defined": "train.py:3"}
        for where in places
    ]
    rows = [["encoder", "scale.alone", alone], ["other", "scale.alignment", other or 0.0]]
    events.append({"event": "signals", "step": 1, "phase": "train", "rows": rows})
    return Trace.of(events)


def patched(folder: Path, text: str, trace: Trace | None = None, kind: str = "rms") -> str | None:
    script = folder / "train.py"
    script.write_text(text)
    action = Action(remedy="R103", name="final-norm", target="encoder", params={"kind": kind})
    diff = write_patch((action,), trace or seen(), folder, script)
    return None if diff is None or diff.pasted else "\n".join(added(diff.text))


def added(diff: str) -> list[str]:
    lines = [line for line in diff.splitlines() if line.startswith("+") and line[:3] != "+++"]
    return [line[1:].strip() for line in lines]


@pytest.mark.parametrize(
    ("top", "name"),
    [
        (TOP, "F"),
        ("import torch.nn.functional as fn\n", "fn"),
        ("from torch import nn\n", "nn.functional"),
        ("import torch\n", "torch.nn.functional"),
    ],
)
def test_a_variable_is_normed_where_it_is_returned(tmp_path, top, name) -> None:
    text = patched(tmp_path, f"{top}{BODY}        return context\n")
    assert text == f"return {name}.rms_norm(context, context.shape[-1:])"


def test_an_expression_is_computed_once(tmp_path) -> None:
    text = patched(tmp_path, f"{TOP}{BODY}        return self.last(context)\n", kind="layer")
    assert text == ("output = self.last(context)\nreturn F.layer_norm(output, output.shape[-1:])")


@pytest.mark.parametrize(
    "text",
    [
        f"{TOP}{BODY}        if context:\n            return context\n        return 2 * context\n",
        f"{TOP}{BODY}        return context, 2\n",
        f"{TOP}{BODY}        return self.last(context)\n\noutput = 3\n",
        f"{TOP}{BODY}        if context: return context\n",
        f"{TOP}{BODY}        return context\n\ndef use(F):\n    return F\n",
        f"import numpy\n{BODY}        return context\n",
        f"{TOP}{BODY}        return context\n\nclass B(Encoder):\n    def forward(self, x):\n"
        "        return super().forward(x)\n",
    ],
    ids=["two returns", "tuple", "name taken", "inside", "shadowed", "no import", "inherited"],
)
def test_what_is_not_clear_is_not_written(tmp_path, text) -> None:
    assert patched(tmp_path, text) is None


def test_other_modules_of_the_class_must_not_change(tmp_path) -> None:
    text = f"{TOP}{BODY}        return context\n"
    assert patched(tmp_path, text, seen(other=1e-6)) is not None  # a norm comes next anyway
    assert patched(tmp_path, text, seen(other=1.0)) is None
    assert patched(tmp_path, text, seen(alone=0.0)) is None
