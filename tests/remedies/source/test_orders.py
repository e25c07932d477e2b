"""A random order, where batches came in that of the data."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

LOADER = "from torch.utils.data import DataLoader\n\ndef f(l: DataLoader): ...\n{0}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("d = DataLoader(data, 32)", "d = DataLoader(data, 32, shuffle=True)"),
        (
            "d = DataLoader(data, shuffle=False, batch_size=n)",
            "d = DataLoader(data, shuffle=True, batch_size=n)",
        ),
        ("d = DataLoader(data, 32, False)", "d = DataLoader(data, 32, True)"),
    ],
)
def test_the_loader_shuffles(rewrite, before, after) -> None:
    assert rewrite(LOADER.format(before), "R816", "train.py:4") == LOADER.format(after)


@pytest.mark.parametrize(
    "made",
    [
        "DataLoader(d, sampler=s)",
        "DataLoader(d, **how)",
        "a = DataLoader(d), DataLoader(e)",
        "f(d)",
    ],
)
def test_another_loader_stays(rewrite, made) -> None:
    with pytest.raises(Unwritable):
        rewrite(LOADER.format(made), "R816", "train.py:4")


SLICES = """\
import torch
for epoch in range(9):
    # One epoch.
    for n in range(0, len(x), 8):
        guess = net(x[n : n + 8])
        loss = (guess - y[n : n + 8, 0]) ** 2 + z[n : n + 9]
    print(x[n : n + 8])
"""
ORDERED = """\
import torch
for epoch in range(9):
    # One epoch.
    order = torch.randperm(len(x))
    for n in range(0, len(x), 8):
        guess = net(x[order[n : n + 8]])
        loss = (guess - y[order[n : n + 8], 0]) ** 2 + z[n : n + 9]
    print(x[n : n + 8])
"""


def test_slices_follow_a_new_order(rewrite) -> None:
    assert rewrite(SLICES, "R816", "train.py:5") == ORDERED


@pytest.mark.parametrize(
    ("old", "new"),
    [("epoch", "order"), ("x[n : n + 8])\n    ", "f(n))\n    "), ("import torch", "import numpy")],
)
def test_other_slices_stay(rewrite, old, new) -> None:
    with pytest.raises(Unwritable):
        rewrite(SLICES.replace(old, new), "R816", "train.py:5")
