"""Loss terms: another weight, or none, where the loss is put together."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

LOOP = """\
import torch

def train(batches, w):
    for a, kl in batches:
        {}
        loss.backward()
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss = 0.5 * a + 0.5 * kl", "loss = 0.5 * a + 0.0004 * kl"),
        ("loss = a + kl", "loss = a + 0.0008 * kl"),
        ("loss = kl + a", "loss = 0.0008 * kl + a"),
        ("loss = a - w * kl", "loss = a - 0.0008 * w * kl"),
        ("loss = a + kl / 2", "loss = a + 0.0008 * kl / 2"),
        ("loss = a + 100 * kl / 2", "loss = a + 0.08 * kl / 2"),
        ("loss = -kl + a", "loss = -0.0008 * kl + a"),
        ("loss = a + kl * 0.5  # all", "loss = a + kl * 0.0004  # all"),
        ("loss = 2 * (a + kl)", "loss = 2 * (a + 0.0008 * kl)"),
        ("loss = (a + kl).mean()", "loss = (a + 0.0008 * kl).mean()"),
        ("loss = (\n            a\n            + kl  # hm\n        )",
         "loss = (\n            a\n            + 0.0008 * kl  # hm\n        )"),
        ("loss = a; loss += 3 * kl", "loss = a; loss += 0.0024 * kl"),
        ("part = w * kl; loss = a + part", "part = 0.0008 * w * kl; loss = a + part"),
        ("total = a + kl; loss = total / 2", "total = a + 0.0008 * kl; loss = total / 2"),
        ("loss = kl; loss = loss + a", "loss = 0.0008 * kl; loss = loss + a"),
        ("loss = a + t['kl']", "loss = a + 0.0008 * t['kl']"),
        ("self.loss = self.kl + a; loss = self.loss",
         "self.loss = 0.0008 * self.kl + a; loss = self.loss"),
        ("seen = a + kl.item(); loss = a + kl", "seen = a + kl.item(); loss = a + 0.0008 * kl"),
        ("shown = a + kl; loss = a + kl", "shown = a + kl; loss = a + 0.0008 * kl"),
    ],
)  # fmt: skip
def test_a_weight_is_multiplied_or_added(rewrite, terms, before, after) -> None:
    trace = terms(kl=5)
    changed = rewrite(LOOP.format(before), "R201", "kl", trace, factor=0.0008)
    assert changed == LOOP.format(after)
    assert rewrite(LOOP.format(before), "R203", "kl", trace, factor=5.0) != LOOP.format(before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss = 0.5 * a + 0.5 * kl", "loss = 0.5 * a"),
        ("loss = w * kl + a  # all", "loss = a  # all"),
        ("loss = kl - a", "loss = -a"),
        ("loss = a + kl - b", "loss = a - b"),
        ("loss = 0.1 * (a + b + kl)", "loss = 0.1 * (a + b)"),
        ("loss = 0.1 * (kl + b * a)", "loss = 0.1 * (b * a)"),
        ("loss = a - (kl + b)", "loss = a - b"),
        ("loss = (\n            0.5 * a\n            + kl\n        )", "loss = 0.5 * a"),
        ("loss = (\n            a\n            + b\n            + kl\n        )",
         "loss = (\n            a\n            + b\n        )"),
        ("loss = a\n        loss += w * kl", "loss = a"),
        ("loss = a\n        loss = loss + w * kl", "loss = a"),
    ],
)  # fmt: skip
def test_a_summand_is_taken_out(rewrite, terms, before, after) -> None:
    assert rewrite(LOOP.format(before), "R202", "kl", terms(kl=5)) == LOOP.format(after)


@pytest.mark.parametrize(
    "before",
    [
        "loss = a",
        "loss = kl",
        "loss = 0 + kl",
        "loss = kl + kl",
        "loss = a + kl\n        loss = loss + kl",
        "loss = sum([a, kl])",
        "loss = f(a + kl)",
        "loss = (a + kl) ** 2",
        "loss = a + b / kl",
        "loss = a + kl * kl",
        "loss = a + kl if w else a",
        "shown = a + kl; loss = combined()",
        "loss = (\n            a  # first\n            + kl\n        )",
        "loss = a; loss += kl",
    ],
)
def test_what_is_ambiguous_or_hidden_is_not_taken_out(rewrite, terms, before) -> None:
    with pytest.raises(Unwritable):
        rewrite(LOOP.format(before), "R202", "kl", terms(kl=5))


def test_a_zero_weight_cannot_be_multiplied(rewrite, terms) -> None:
    with pytest.raises(Unwritable):
        rewrite(LOOP.format("loss = a + 0.0 * kl"), "R201", "kl", terms(kl=5), factor=0.1)


@pytest.mark.parametrize("name", ["unseen", "kl@7"])
def test_a_term_without_a_name_of_its_own_is_not_written(rewrite, terms, name) -> None:
    with pytest.raises(Unwritable):
        rewrite(LOOP.format("loss = a + kl"), "R202", name, terms(**{"kl": 5, "kl@7": 5}))


FUNCTIONS = """\
import torch
from torch.nn import functional as F

def kl_loss(x):
    return x.mean()

def objective(x, y):
    return F.mse_loss(x, y) + 0.1 * kl_loss(x)

@torch.no_grad()
def evaluate(x, y):
    loss = F.mse_loss(x, y) + 0.1 * kl_loss(x)
    return loss

objective(1, 2).backward()
"""


@pytest.mark.parametrize(
    ("name", "line", "after"),
    [
        ("kl_loss", 5, "return F.mse_loss(x, y)"),
        ("mse_loss", 8, "return 0.1 * kl_loss(x)"),
    ],
)
def test_terms_that_have_their_names_from_calls(rewrite, terms, name, line, after) -> None:
    before = "return F.mse_loss(x, y) + 0.1 * kl_loss(x)"
    changed = rewrite(FUNCTIONS, "R202", name, terms(**{name: line}))
    assert changed == FUNCTIONS.replace(before, after)


def test_a_returned_variable_is_the_one_of_the_function_that_computed_it(rewrite, terms) -> None:
    body = "    kl = x.mean()\n    return x.sum() + kl\n"
    text = f"def objective(x):\n{body}\ndef validation(x):\n{body}"
    changed = rewrite(text, "R201", "kl", terms(kl=2), factor=0.5)
    assert changed == text.replace("+ kl", "+ 0.5 * kl", 1)


def test_an_evaluation_in_the_same_function_is_left_alone(rewrite, terms) -> None:
    text = LOOP.format("loss = a + kl") + "    with torch.no_grad():\n        loss = a + kl\n"
    changed = rewrite(text, "R202", "kl", terms(kl=5))
    assert changed == text.replace("loss = a + kl", "loss = a", 1)


def test_two_terms_at_once(rewrite, terms) -> None:
    text = LOOP.format("loss = a + b + kl")
    assert "loss = b\n" in rewrite(text, "R202", "a,kl", terms(kl=5, a=5))
    changed = rewrite(text, "R201", "a,kl", terms(kl=5, a=5), factor=0.1)
    assert "loss = 0.1 * a + b + 0.1 * kl\n" in changed
    with pytest.raises(Unwritable):
        rewrite(text, "R202", "a,b", terms(a=5, b=5))
