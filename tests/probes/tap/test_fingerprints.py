"""The same sample has the same fingerprint in every batch."""

from __future__ import annotations

import pytest
import torch

from probes.tap.fingerprints import Pairs, fingerprints


def test_fingerprints_do_not_depend_on_the_batch() -> None:
    rows = torch.randn(64, 3, 7)
    order = torch.randperm(64)
    shuffled = fingerprints(rows[order])
    assert [shuffled[place] for place in order.argsort()] == fingerprints(rows)
    assert len(set(shuffled)) == 64
    assert fingerprints(rows[:, :, :1].expand(-1, -1, 7))[0] != fingerprints(rows)[0]


def test_pairs() -> None:
    pairs = Pairs()
    assert pairs.take([1.0, 2.0], [0.0, 1.0]) == {"pairs.revisited": 0.0}
    found = pairs.take([2.0, 1.0, 3.0], [0.0, 0.0, 5.0])
    assert (found["pairs.revisited"], found["pairs.changed"]) == (2.0, 0.5)
    assert (found["pairs.expected"], found["pairs.recurring"]) == (0.5, pytest.approx(2 / 3))
    assert pairs.take([1.0, 1.0, 2.0], [0.0, 1.0, 0.0]) == {}, "a sample that is there twice"
