"""What keeps a tensor from its gradient is taken out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def cut(kind: str, line: int) -> Trace:
    row = [f"encoder.weight@train.py:{line}", f"cut.{kind}", 1.0]
    return Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": [row]}])


def kept(rewrite: Callable[..., str], text: str, kind: str, line: int = 1) -> str:
    return rewrite(text, "R804", f"encoder.weight@train.py:{line}", cut(kind, line))


def test_a_cut_within_a_module_is_taken_out(rewrite) -> None:
    row = ["detach@train.py:1", "cut.detach", 1.0]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": [row]}])
    after = rewrite("state = cell(x, state.detach())\n", "R804", "detach@train.py:1", trace)
    assert after == "state = cell(x, state)\n"


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("idle_parameters")
    line = 1 + sick[: sick.index(".detach()")].count("\n")
    assert kept(rewrite, sick, "detach", line) == healthy


@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        ("y = head((a + b).detach())  # why\n", "detach", "y = head(a + b)  # why\n"),
        ("y = (a + b).detach().mean()\n", "detach", "y = (a + b).mean()\n"),
        ("z = 2 * (a + b).data\n", "data", "z = 2 * (a + b)\n"),
        ("y = y.detach()\nprint(y)\n", "detach", "print(y)\n"),
    ],
)
def test_an_expression(rewrite, before, kind, after) -> None:
    assert kept(rewrite, before, kind) == after


BLOCK = """import torch
def f(x):
    # the features
    with {0}:
        # frozen
        y = encoder(
            x,
        )
        y = y.relu()  # stays
    return head(y)
"""


def test_a_block_of_no_grad(rewrite) -> None:
    after = (
        "import torch\ndef f(x):\n    # the features\n    # frozen\n    y = encoder(\n"
        "        x,\n    )\n    y = y.relu()  # stays\n    return head(y)\n"
    )
    assert kept(rewrite, BLOCK.format("torch.no_grad()"), "no_grad", 4) == after
    both = BLOCK.format("torch.no_grad(), torch.autocast('cpu')")
    one = BLOCK.format("torch.autocast('cpu')")
    assert kept(rewrite, both, "no_grad", 4) == one


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("y = a.detach() + b.detach()\n", "detach"),
        ("y = torch.detach(a)\n", "detach"),
        ("a.data = b\n", "data"),
        ("import torch; f = torch.no_grad()(f)\n", "no_grad"),
        ("y = encoder(x)\n", "frozen"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, text, kind) -> None:
    with pytest.raises(Unwritable):
        kept(rewrite, text, kind)
