"""Weights stay in float32, and the forward pass goes under autocast."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Event, Trace
from remedies.source.errors import Unwritable

Rewrite = Callable[..., str]


def kept(rewrite: Rewrite, text: str, *pieces: str, models: int = 1) -> str:
    """The script in float32: these pieces were seen to cast."""
    defined = next((f"train.py:{n}" for n, row in _rows(text) if "def forward" in row), None)
    events: list[Event] = [
        {"event": "module", "where": f"Net{n}", "type": "Net", "defined": defined}
        for n in range(models)
    ]
    found = [n for n, row in _rows(text) if any(piece in row for piece in pieces)]
    casts = [[f"train.py:{n}", "cast.half", 1.0] for n in found]
    events.append({"event": "signals", "step": 0, "phase": "train", "rows": casts})
    return rewrite(text, "R314", "", Trace.of(events))


def _rows(text: str) -> enumerate[str]:
    return enumerate(text.splitlines(), start=1)


def test_the_bundled_script_becomes_the_healthy_one(rewrite, bundled) -> None:
    sick, healthy = bundled("lost_updates")
    assert kept(rewrite, sick, ".to(torch.bfloat16)") == healthy


HEAD = """import torch
from torch import bfloat16, nn
class Net(nn.Module):
    def forward(self, x):
        return self.layer(x)
"""
DECORATED = HEAD.replace("    def", '    @torch.autocast("cpu", dtype=torch.bfloat16)\n    def')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("net = Net().bfloat16()", "net = Net()"),
        ("net = Net().type(torch.bfloat16)", "net = Net()"),
        ("net = Net().to(dtype=bfloat16)", "net = Net()"),
        ("net = Net().to(device, torch.bfloat16)", "net = Net().to(device)"),
        ("net = Net().to(dtype=torch.bfloat16, device=x)", "net = Net().to(device=x)"),
        ("KIND = torch.bfloat16\nnet = Net().to(KIND)", "KIND = torch.bfloat16\nnet = Net()"),
        ("net = Net()\nnet.bfloat16()", "net = Net()"),
        ("net = Net()\nnet = net.to(torch.bfloat16)", "net = Net()"),
        ("torch.set_default_dtype(torch.bfloat16)\nnet = Net()", "net = Net()"),
        ("fit(Net().bfloat16())", "fit(Net())"),
    ],
)
def test_a_cast_is_taken_out(rewrite, before, after) -> None:
    casts = (".bfloat16()", ".to(", ".type(", "set_default")
    assert kept(rewrite, f"{HEAD}{before}\n", *casts) == f"{DECORATED}{after}\n"


def test_half_stays_half(rewrite) -> None:
    after = kept(rewrite, f"{HEAD}net = Net().half()\n", ".half()")
    assert '@torch.autocast("cpu", dtype=torch.float16)' in after


@pytest.mark.parametrize(
    ("device", "written"),
    [
        ('device = "cuda" if torch.cuda.is_available() else "cpu"',
         '"cuda" if torch.cuda.is_available() else "cpu"'),
        ('device = torch.device("cuda:0")', '"cuda"'),
        ("inputs = inputs.cuda()", '"cuda"'),
    ],
)  # fmt: skip
def test_the_device_is_that_of_the_script(rewrite, device, written) -> None:
    after = kept(rewrite, f"{HEAD}{device}\nnet = Net().bfloat16()\n", ".bfloat16()")
    assert f"@torch.autocast({written}, dtype=torch.bfloat16)" in after


@pytest.mark.parametrize(
    ("before", "after", "line", "models"),
    [
        pytest.param("", "", "net = Net().bfloat16()", 2, id="two models"),
        pytest.param("", "", "net = load(torch.bfloat16)", 1, id="no cast"),
        pytest.param("", "", "a, b = Net().half(), Net().half()", 1, id="two casts"),
        pytest.param("", "", "net = Net().to(kind)  # half", 1, id="a type that is not known"),
        pytest.param("", "", "net = Net().half().to('mps')", 1, id="another device"),
        pytest.param("forward", "call", "net = Net().half()", 1, id="no forward"),
        pytest.param("    def", "    @mine\n    def", "net = Net().half()", 1, id="decorated"),
        pytest.param("import torch\n", "", "net = Net().half()", 1, id="no torch"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, before, after, line, models) -> None:
    text = f"{HEAD.replace(before, after) if before else HEAD}{line}\n"
    with pytest.raises(Unwritable):
        kept(rewrite, text, line, models=models)


def test_several_casts_are_for_a_person(rewrite) -> None:
    text = f"{HEAD}net = Net().half()\nother = Net().half()\n"
    with pytest.raises(Unwritable):
        kept(rewrite, text, "half()")
