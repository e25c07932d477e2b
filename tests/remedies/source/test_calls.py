"""Norms: another constructor at the line that made them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from probes.trace import Trace
from remedies import remedies
from remedies.source.errors import Unwritable
from remedies.source.source import Source
from tests.probes.tap.observing import tapped


@pytest.mark.parametrize(
    ("before", "to", "after"),
    [
        ("nn.BatchNorm1d(8)", "instance", "nn.InstanceNorm1d(8, affine=True)"),
        ("nn.BatchNorm1d(8, 1e-3)", "instance", "nn.InstanceNorm1d(8, eps=1e-3, affine=True)"),
        ("nn.BatchNorm1d(8, momentum=0.5)", "instance", "nn.InstanceNorm1d(8, affine=True)"),
        (
            "nn.BatchNorm1d(8, 1e-3, 0.5, False)",
            "instance",
            "nn.InstanceNorm1d(8, eps=1e-3, affine=False)",
        ),
        ("nn.BatchNorm1d(8)", "group", "nn.GroupNorm(4, 8)"),
        ("nn.BatchNorm1d(width)", "group", "nn.GroupNorm(4, width)"),
        ("nn.BatchNorm1d(num_features=8)", "layer", "nn.GroupNorm(1, 8)"),
        ("nn.BatchNorm1d(2 * width)", "layer", "nn.GroupNorm(1, 2 * width)"),
        ("nn.BatchNorm1d(8, momentum=m)", "batch", "nn.BatchNorm1d(8, track_running_stats=False)"),
        (
            "nn.BatchNorm1d( 8,  eps = 1e-3 )",
            "batch",
            "nn.BatchNorm1d( 8,  eps=1e-3,  track_running_stats=False )",
        ),
        ("torch.nn.BatchNorm1d(8)", "layer", "torch.nn.GroupNorm(1, 8)"),
    ],
)
def test_the_constructor_is_another_one(rewrite, seen, before, to, after) -> None:
    head = "import torch\nfrom torch import nn\n\nm, width = 0.1, 8\n"
    text = f"{head}model = {before}  # a norm\n"
    changed = rewrite(text, "R101", "0", seen(("0", 5)), to=to)
    assert changed == f"{head}model = {after}  # a norm\n"


def test_the_line_breaks_of_the_call_stay(rewrite, seen) -> None:
    text = "from torch import nn\nmodel = nn.BatchNorm1d(\n    8,\n    eps=1e-3,\n)\n"
    changed = rewrite(text, "R101", "0", seen(("0", 2)), to="instance")
    assert changed == text.replace("Batch", "Instance").replace(
        "eps=1e-3,\n", "eps=1e-3,\n    affine=True,\n"
    )


@pytest.mark.parametrize(
    ("imported", "after"),
    [
        ("BatchNorm1d, Linear", "BatchNorm1d, GroupNorm, Linear"),
        ("Linear, BatchNorm1d", "Linear, BatchNorm1d, GroupNorm"),
        ("BatchNorm1d", "BatchNorm1d, GroupNorm"),
        ("BatchNorm1d, GroupNorm", "BatchNorm1d, GroupNorm"),
        (
            "(\n    BatchNorm1d,\n    Linear,\n)",
            "(\n    BatchNorm1d,\n    GroupNorm,\n    Linear,\n)",
        ),
    ],
)
def test_a_bare_name_is_imported_beside_the_other(rewrite, seen, imported, after) -> None:
    body = "\na = BatchNorm1d(4)\nb = BatchNorm1d(8)\n"
    first = imported.count("\n") + 2
    trace = seen(("0", first), ("1", first + 1))
    changed = rewrite(f"from torch.nn import {imported}{body}", "R101", "0,1", trace, to="layer")
    body = "\na = GroupNorm(1, 4)\nb = GroupNorm(1, 8)\n"
    assert changed == f"from torch.nn import {after}{body}"


def test_one_line_that_made_all_the_norms_is_changed_once(rewrite, seen) -> None:
    text = "from torch import nn\n\ndef block(n):\n    return nn.BatchNorm2d(n)\n"
    trace = seen(*((str(n), 4, "BatchNorm2d", 64 * 2**n) for n in range(3)))
    changed = rewrite(text, "R101", "0,1,2", trace, to="instance")
    assert changed == text.replace("nn.BatchNorm2d(n)", "nn.InstanceNorm2d(n, affine=True)")
    changed = rewrite(text, "R101", "0,1,2", trace, to="group")
    assert changed == text.replace("nn.BatchNorm2d(n)", "nn.GroupNorm(32, n)")
    with pytest.raises(Unwritable, match="other modules"):
        rewrite(text, "R101", "0,2", trace, to="instance")
    differing = seen(("0", 4, "BatchNorm2d", 64), ("1", 4, "BatchNorm2d", 24))
    with pytest.raises(Unwritable, match="number of channels"):
        rewrite(text, "R101", "0,1", differing, to="group")


def test_several_norms_on_a_line(rewrite, seen) -> None:
    text = "from torch import nn\na, b = nn.BatchNorm1d(4), nn.BatchNorm1d(8)\n"
    both = seen(("0", 2), ("1", 2))
    assert rewrite(text, "R101", "0,1", both, to="layer").endswith(
        "a, b = nn.GroupNorm(1, 4), nn.GroupNorm(1, 8)\n"
    )
    for target, trace in (("0", both), ("0", seen(("0", 2)))):
        with pytest.raises(Unwritable):
            rewrite(text, "R101", target, trace, to="layer")


def test_what_instance_came_to_is_written(rewrite, seen) -> None:
    """In 2-D inputs a channel has one value; `nn.InstanceNorm1d` would not take them."""
    text = "from torch import nn\nmodel = nn.BatchNorm1d(8)\n"
    flat = seen(("0", 2, "BatchNorm1d", 8, 1.0))
    for to in ("instance", "position"):
        assert "nn.GroupNorm(1, 8)" in rewrite(text, "R101", "0", flat, to=to)
    events = [*flat.signals.values()]
    events[0].append(9, 4.0)
    with pytest.raises(Unwritable, match="shape"):
        rewrite(text, "R101", "0", flat, to="instance")


@pytest.mark.parametrize(
    ("text", "to"),
    [
        ("from torch import nn\nx = nn.BatchNorm1d(8)\n", "rms"),
        ("from torch import nn\nx = nn.BatchNorm1d(8)\n", "position"),
        ("from torch import nn\nx = nn.BatchNorm1d(8, track_running_stats=on)\n", "layer"),
        ("from torch import nn\nx = nn.BatchNorm1d(*sizes)\n", "layer"),
        ("from torch import nn\nx = nn.BatchNorm1d(8)\nprint(x.running_mean)\n", "layer"),
        ("from torch import nn\nx = nn.BatchNorm1d(\n    8,  # wide\n)\n", "layer"),
        ("from torch import nn\nx = nn.BatchNorm2d(8)\n", "layer"),
        ("from torch import nn\nx = make(nn.BatchNorm1d)(8)\n", "layer"),
        ("from norms import BatchNorm1d\nx = BatchNorm1d(8)\n", "layer"),
        ("from torch.nn import *\nx = BatchNorm1d(8)\n", "layer"),
        ("from torch.nn import BatchNorm1d; GroupNorm = 1\nx = BatchNorm1d(8)\n", "layer"),
        ("from torch import nn\n\nx = nn.BatchNorm1d(8)\n", "layer"),
        ("from torch import nn\nx = (\n", "layer"),
    ],
)
def test_what_is_not_safe_is_not_written(rewrite, seen, text, to) -> None:
    with pytest.raises(Unwritable):
        rewrite(text, "R101", "0", seen(("0", 2)), to=to)


def test_a_module_that_was_not_seen_or_has_no_line(rewrite, seen) -> None:
    text = "from torch import nn\nx = nn.BatchNorm1d(8)\n"
    for target in ("1", "0,1"):
        with pytest.raises(Unwritable):
            rewrite(text, "R101", target, seen(("0", 2)), to="layer")
    with pytest.raises(Unwritable):
        rewrite(text, "R101", "0", Trace.of([{"event": "module", "where": "0", "type": "x"}]))


LIVING = """\
import torch
from torch import nn
from torch.nn import functional


def block(width):
    return nn.Sequential(
        nn.Conv1d(4, width, 3),
        nn.BatchNorm1d(
            width,
        ),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.BatchNorm1d(width), nn.Linear(width, 3),
    )


model = block(6)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    outputs = model(torch.randn(8, 4, 12))
    loss = functional.cross_entropy(outputs, torch.arange(8) % 3) + 0.1 * outputs.square().mean()
    loss.backward()
    optimizer.step()
"""


def test_the_lines_are_those_of_a_real_trace(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(LIVING)
    with tapped(folder=tmp_path) as observed:
        runpy.run_path(str(script))
    trace = observed.trace
    source = Source(trace, tmp_path, script)
    swap, drop = remedies["swap-norm"], remedies["drop-term"]
    (target,) = swap.targets([], trace)
    swap.rewrite(source, swap.default(target).model_copy(update={"params": {"to": "instance"}}))
    drop.rewrite(source, drop.default("mean"))
    (file,) = source.files
    assert file.edited == (
        LIVING.replace(
            "BatchNorm1d(\n            width,", "InstanceNorm1d(\n            width, affine=True,"
        )
        .replace("nn.BatchNorm1d(width)", "nn.GroupNorm(1, width)")
        .replace(" + 0.1 * outputs.square().mean()", "")
    )
    runpy.run_path(str(script))
