"""Gradients that stay the same are told from gradients that are noise."""

from __future__ import annotations

import pytest
import torch

from probes.tap.steadiness import Steadiness


def test_the_cosine_with_the_gradient_before() -> None:
    steadiness = Steadiness()
    one, other = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])
    assert steadiness.measure("a", {1: one, 2: one}, {1}) is None
    found = steadiness.measure("a", {1: other, 2: -other}, {1})
    assert found is not None and float(found) == pytest.approx(24 / 25)
    assert steadiness.measure("b", {1: other}, {1}) is None


def test_what_is_kept_is_a_small_copy() -> None:
    steadiness = Steadiness()
    gradient = torch.ones(100_000)
    steadiness.measure("a", {1: gradient}, {1})
    gradient.neg_()
    found = steadiness.measure("a", {1: gradient}, {1})
    assert found is not None and float(found) == pytest.approx(-1.0)
    assert sum(part.numel() for part in steadiness._last["a"].values()) < 10_000


def test_parameters_that_come_and_go() -> None:
    steadiness = Steadiness()
    assert steadiness.measure("a", {1: torch.ones(2)}, {1}) is None
    assert steadiness.measure("a", {2: torch.ones(2)}, {2}) is None
    assert steadiness.measure("a", {}, set()) is None
