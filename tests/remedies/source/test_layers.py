"""Layers before and behind those that a script makes."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

NET = "from torch import nn\n\nnet = {0}\n"


def written(rewrite, facts, code: str, remedy: str, layer: str = "Linear", **params) -> str:
    text = NET.format(code)
    layers = {"Net": ("Net", 9), "first": (layer, 3)}
    return rewrite(text, remedy, "first", facts(layers), **params).splitlines()[2]


@pytest.mark.parametrize(
    ("code", "remedy", "kind", "params", "after"),
    [
        (
            "nn.Linear(4, w)",
            "R105",
            "Linear",
            {"kind": "layer"},
            "nn.Sequential(nn.Linear(4, w), nn.LayerNorm(w, elementwise_affine=False))",
        ),
        (
            "nn.Sequential(nn.Linear(4, out_features=2 * w), nn.ReLU())",
            "R105",
            "Linear",
            {"kind": "rms"},
            "nn.Sequential(nn.Linear(4, out_features=2 * w), "
            "nn.RMSNorm(2 * w, elementwise_affine=False), nn.ReLU())",
        ),
        (
            "[nn.Conv2d(1, w, 3, padding=1), nn.ReLU()]",
            "R105",
            "Conv2d",
            {"kind": "layer"},
            "[nn.Sequential(nn.Conv2d(1, w, 3, padding=1), nn.GroupNorm(1, w, affine=False)), "
            "nn.ReLU()]",
        ),
        (
            "nn.Sequential(nn.Linear(4, 8))",
            "R104",
            "Linear",
            {"kind": "rms"},
            "nn.Sequential(nn.RMSNorm(4, elementwise_affine=False), nn.Linear(4, 8))",
        ),
        (
            "nn.Linear(4, 8)",
            "R311",
            "Linear",
            {"share": 0.25},
            "nn.Sequential(nn.Dropout(0.25), nn.Linear(4, 8))",
        ),
        (
            "nn.Sequential(nn.Conv1d(3, 8, 5))",
            "R901",
            "Conv1d",
            {"statistics": "shared"},
            "nn.Sequential(nn.BatchNorm1d(3, affine=False, momentum=None), nn.Conv1d(3, 8, 5))",
        ),
    ],
    ids=["alone", "in a sequence", "in a list", "before", "dropout", "standardised"],
)
def test_a_layer_is_put_beside(rewrite, facts, code, remedy, kind, params, after) -> None:
    assert written(rewrite, facts, code, remedy, kind, **params) == f"net = {after}"


@pytest.mark.parametrize(
    "before",
    [
        "nn.Sequential(\n    nn.Linear(4, 8),  # in\n    nn.ReLU(),\n)",
        "nn.Sequential(\n    nn.Linear(4, 8),  # in\n)",
        "nn.Sequential(\n    # all\n    nn.Linear(4, 8),\n    # more\n    nn.ReLU(),\n)",
    ],
)
def test_the_lines_of_a_sequence_stay_as_they_are(rewrite, facts, before) -> None:
    text = NET.format(before)
    line = 1 + next(n for n, line in enumerate(text.splitlines()) if "Linear" in line)
    layers = {"Net": ("Sequential", 3), "0": ("Linear", line), "1": ("ReLU", line + 1)}
    norm = "    nn.LayerNorm(8, elementwise_affine=False),"
    after = rewrite(text, "R105", "0", facts(layers), kind="layer")
    assert [line for line in after.splitlines() if line not in text.splitlines()] == [norm]
    compile(after, "train.py", "exec")


@pytest.mark.parametrize(
    "code",
    [
        "nn.Linear(4, width())",
        "nn.Linear(*sizes)",
        "nn.Linear(4,  # in\n    8)",
        "nn.Linear(4, 8)\nprint(model.first.weight)",
        "nn.Sequential(*more, nn.Linear(4, 8))",
        "nn.Sequential(nn.Linear(4, 8), nn.ReLU())\nprint(net[1])",
    ],
)
def test_what_is_used_or_not_plain_is_not_written(rewrite, facts, code) -> None:
    with pytest.raises(Unwritable):
        written(rewrite, facts, code, "R105", kind="layer")


def test_a_code_for_missing_values_becomes_zero_first(rewrite, facts) -> None:
    text = (
        "import torch\nfrom torch import nn\nclass Net:\n"
        "    def __init__(self):\n        self.first = nn.Linear(3, 4)\n"
        "    def forward(self, x):\n        return self.first(x).relu()\n"
    )
    signals = {("first", "input.code"): -999.0, ("first", "input.outlying"): 0.02}
    layers = {"Net": ("Net", 3), "first": ("Linear", 5)}
    after = rewrite(text, "R901", "first", facts(layers, signals), statistics="shared")
    assert "return self.first(torch.where(x == -999, 0.0, x)).relu()" in after
    del signals["first", "input.code"]
    with pytest.raises(Unwritable):
        rewrite(text, "R901", "first", facts(layers, signals), statistics="shared")
