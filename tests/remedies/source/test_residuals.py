"""What residual branches add, by their number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def scaled(rewrite: Callable[..., str], text: str, target: str, by: str = "depth") -> str:
    return rewrite(text, "R602", target, by=by)


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("exploding_residuals")
    assert scaled(rewrite, sick, ",".join(f"blocks.{n}" for n in range(32))) == healthy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return x + self.net(x)", "return x + 4**-0.5 * self.net(x)"),
        ("x += self.net(x, mask)  # in place", "x += 4**-0.5 * self.net(x, mask)  # in place"),
    ],
)
def test_the_branch_of_a_block(rewrite, before, after) -> None:
    text = (
        "class Block:\n    def forward(self, x, mask):\n        y = 1 + self.head(x)\n        {0}\n"
    )
    target = ",".join(f"blocks.{n}.net" for n in range(4))
    assert scaled(rewrite, text.format(before), target) == text.format(after)


@pytest.mark.parametrize(
    ("line", "target", "by"),
    [
        ("x + self.net(x)", "a.net,b.net", "zero"),
        ("x + self.net(x) + self.net(x)", "a.other,b.other", "depth"),
        ("f(x + self.net(x), x + self.net(x))", "a.net,b.net", "depth"),
        ("f(x + self.net(x), x + self.mlp(x))", "a.net,a.mlp", "depth"),
        ("self.head(self.net(x))", "a.net,b.net", "depth"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, line, target, by) -> None:
    with pytest.raises(Unwritable):
        scaled(rewrite, f"y = {line}\n", target, by)


def test_branches_that_were_not_scaled_stay(rewrite) -> None:
    trace = Trace.of({"event": "module", "where": f"{n}.net", "type": "Linear"} for n in range(3))
    with pytest.raises(Unwritable):
        rewrite("y = x + self.net(x)\n", "R602", "0.net,1.net", trace, by="depth")
