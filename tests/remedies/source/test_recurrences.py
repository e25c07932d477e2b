"""A state that is cut in each round of a loop stays in the graph, from step to step it does not."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

Rewrite = Callable[..., str]


def kept(
    rewrite: Rewrite, text: str, carried: bool = True, kind: str = "detach", mark: str = "detach()"
) -> str:
    """The script, written without the cut in the first line that has the mark."""
    text = textwrap.dedent(text).lstrip("\n")
    line = 1 + text[: text.index(mark)].count("\n")
    place = f"cell@train.py:{line}"
    signals = {"recurrence.rounds": 9.0, "recurrence.carried": float(carried), f"cut.{kind}": 1.0}
    rows = [[place, name, value] for name, value in signals.items()]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    return rewrite(text, "R804", place, trace)


LOOP = """
h = start()
for chunk in chunks:
    loss = 0
    for x in chunk:
        {0}
        loss = loss + h.mean()
    loss.backward()
"""


def looped(*lines: str, before: str = "") -> str:
    """The loop with these lines in it, and what is done before it."""
    text = LOOP.lstrip("\n").replace("{0}", "\n        ".join(lines))
    return text.replace("    for x", f"    {before}\n    for x") if before else text


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("cut_recurrence")
    assert kept(rewrite, sick, carried=False) == healthy


@pytest.mark.parametrize(
    ("line", "carried", "after"),
    [
        ("h = cell(x, h.detach())", False, looped("h = cell(x, h)")),
        ("h = cell(x, h).detach()", False, looped("h = cell(x, h)")),
        ("h = cell(x, h.detach())", True, looped("h = cell(x, h)", before="h = h.detach()")),
        ("h = cell(x, h).detach()", True, looped("h = cell(x, h)", before="h = h.detach()")),
    ],
)
def test_a_cut_in_an_expression(rewrite, line, carried, after) -> None:
    assert kept(rewrite, looped(line), carried) == after


@pytest.mark.parametrize(
    "cut",
    [
        "h = h.detach()",
        "h = tuple(v.detach() for v in h)",
        "h = [v.detach() for v in h]",
        "if x.sum: h = h.detach()",
        "if x.sum:\n            h = h.detach()",
    ],
)
@pytest.mark.parametrize("carried", [False, True])
def test_a_statement_of_its_own(rewrite, cut, carried) -> None:
    before = cut.rpartition("h = ")[0] and "h = h.detach()" or cut
    after = looped("h = cell(x, h)", before=before if carried else "")
    assert kept(rewrite, looped(cut, "h = cell(x, h)"), carried) == after


def test_data_becomes_a_detach_before_the_loop(rewrite) -> None:
    after = looped("h = cell(x, h)", before="h = h.detach()")
    assert kept(rewrite, looped("h = cell(x, h.data)"), True, "data", "h.data") == after


def test_two_tensors_at_once(rewrite) -> None:
    text = looped("h, c = h.detach(), c.detach()", "h, c = cell(x, (h, c))")
    text = text.replace("h = start()", "h, c = start()")
    before = looped("h, c = cell(x, (h, c))", before="h, c = h.detach(), c.detach()")
    assert kept(rewrite, text) == before.replace("h = start()", "h, c = start()")


def test_a_state_that_is_unpacked_in_the_loop(rewrite) -> None:
    text = looped("h, c = s", "y, s = cell(x, (h.detach(), c.detach()))")
    cured = looped(
        "h, c = s", "y, s = cell(x, (h, c))", before="s = tuple(part.detach() for part in s)"
    )
    start = ("h = start()", "s = start()")
    assert kept(rewrite, text.replace(*start)) == cured.replace(*start)


def test_a_state_that_is_none_at_first(rewrite) -> None:
    text = looped("h = cell(x, h)", "h = h.detach()").replace("start()", "None")
    before = "if h is not None:\n        h = h.detach()"
    assert kept(rewrite, text) == looped("h = cell(x, h)", before=before).replace("start()", "None")


def test_the_loop_over_the_rounds_is_the_outermost_without_a_backward_pass(rewrite) -> None:
    text = looped("for y in x:", "    h = cell(y, h.detach())")
    after = looped("for y in x:", "    h = cell(y, h)", before="h = h.detach()")
    assert kept(rewrite, text) == after


HELPER = """
def repackage(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage(part) for part in h)


"""


def test_a_function_that_cuts_is_called_before_the_loop(rewrite) -> None:
    text = HELPER + looped("h = repackage(h)", "h = cell(x, h)")
    after = HELPER + looped("h = cell(x, h)", before="h = repackage(h)")
    assert kept(rewrite, text) == after.lstrip()
    elsewhere = "def check(h):\n    for x in xs:\n        h = repackage(h)\n\n\n"
    assert kept(rewrite, elsewhere + text, mark="h.detach()") == elsewhere + after
    again = HELPER + looped("h = repackage(h)", "h = cell(x, h)", before="h = repackage(h)")
    assert kept(rewrite, again) == after.lstrip()


def test_the_backward_pass_may_be_made_by_another_function(rewrite) -> None:
    head, line = "def run(h, chunk):\n", "    for x in chunk:\n"
    text = f"{HELPER}{head}{line}        h = repackage(h)\n        h = cell(x, h)\n    return h\n"
    after = f"{HELPER}{head}    h = repackage(h)\n{line}        h = cell(x, h)\n    return h\n"
    assert kept(rewrite, text) == after.lstrip()


@pytest.mark.parametrize(
    "line",
    [
        "h = cell(x, repackage(h))",
        "h = repackage(g)",
        "g = repackage(h)",
        "h = repackage(h)\n        h = repackage(h)",
    ],
)
def test_a_function_that_cuts_something_else_stays(rewrite, line) -> None:
    with pytest.raises(Unwritable):
        kept(rewrite, HELPER + looped(line, "h = cell(x, h)"))


@pytest.mark.parametrize(
    "text",
    [
        "def f(x, h):\n    return cell(x, h.detach())\n",
        "for x in xs:\n    h = cell(x, h.detach())\n    h.sum().backward()\n",
        looped("for g in h:", "    g = cell(x, g.detach())"),
        looped("h[0] = cell(x, h[0].detach())"),
        looped("h = cell(x, g(h).detach())", "h = h").replace("h = cell", "h[1] = cell"),
        looped("h = torch.detach()(cell(x, h))"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        kept(rewrite, text)


@pytest.mark.parametrize(
    "cut",
    [
        "if seen(x):\n            h = h.detach()",
        "if x:\n            h = h.detach()\n        else:\n            h = g(h)",
        "if x:\n            # every time\n            h = h.detach()",
        "if x:\n            pass\n        elif y:\n            h = h.detach()",
    ],
)
def test_a_condition_that_means_something_stays(rewrite, cut) -> None:
    with pytest.raises(Unwritable):
        kept(rewrite, looped(cut, "h = cell(x, h)"), carried=False)
