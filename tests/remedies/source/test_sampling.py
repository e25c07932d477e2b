"""The mean in the place of a sample, written into a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

Rewrite = Callable[..., str]


def written(rewrite: Rewrite, line: str, operand: int = 0) -> str:
    event = {"event": "noise", "where": "encoder", "source": "train.py:2", "operand": operand}
    text = f"def sample(mean, std, eps):\n    {line}\n"
    after = rewrite(text, "R402", "encoder", Trace.of([event]))
    return after.splitlines()[1].strip()


@pytest.mark.parametrize(
    "line, operand, after",
    [
        ("return mean + eps * std", 0, "return mean"),
        ("return eps * std + mean", 1, "return mean"),
        ("return mean - eps * std", 0, "return mean"),
        ("z = self.mean(h) + eps * std", 0, "z = self.mean(h)"),
        ("return decode(mean + eps * std, h)", 0, "return decode(mean, h)"),
        ("return eps.mul(std).add_(mean)", 1, "return mean"),
        ("return mean.add(eps * std)", 0, "return mean"),
        ("return (2 * mean).add(eps * std)", 0, "return (2 * mean)"),
        ("return dist.Normal(mean, std).rsample()", 0, "return dist.Normal(mean, std).mean"),
        ("return (mean + eps * std).tanh()", 0, "return mean.tanh()"),
    ],
)
def test_the_deterministic_part_is_left(
    rewrite: Rewrite, line: str, operand: int, after: str
) -> None:
    assert written(rewrite, line, operand) == after


@pytest.mark.parametrize(
    "line, operand",
    [
        ("return mean + eps * std + shift", 0),
        ("z += eps * std", 0),
        ("z.add_(eps * std)", 0),
        ("return eps * std - mean", 1),
        ("return Normal(mean, std).rsample((8,))", 0),
        ("return torch.addcmul(mean, eps, std)", 0),
        ("return torch.normal(mean, std)", 0),
    ],
)
def test_what_is_not_clear_is_not_written(rewrite: Rewrite, line: str, operand: int) -> None:
    with pytest.raises(Unwritable):
        written(rewrite, line, operand)


def test_a_place_that_was_not_seen_is_not_written(rewrite: Rewrite) -> None:
    with pytest.raises(Unwritable, match="was not seen"):
        rewrite("x = 1\n", "R402", "encoder", Trace())
