"""R701: what the script gets when settings are reverted."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from itertools import chain, combinations
from pathlib import Path

import pytest

from probes.tap import Tap
from probes.trace import Event, Trace
from remedies import Action
from remedies.arguments import Difference, differences
from remedies.revert_setting import RevertSetting
from remedies.surgery import Program

REMEDY = RevertSetting()


def reverted(bad: list[str], chosen: list[Difference]) -> tuple[list[str], list[Event]]:
    """The arguments that a script gets with these differences reverted, and what was reported."""
    events: list[Event] = []
    treatment = tuple(REMEDY.reverting(difference) for difference in chosen)
    tap = Tap(events.append, Path(__file__).parent)
    program = Program(tap, treatment, events.append, bad)
    program.install()
    program.close()
    return list(program.arguments), events


def test_all_settings_at_once_give_the_good_command_line() -> None:
    bad = "fit --lr 0.3 --no-warmup --clip 1 data".split()
    good = "fit --lr=0.1 --warmup --wd '1 2' data2"
    found = differences(bad, shlex.split(good))
    arguments, events = reverted(bad, found)
    assert not differences(arguments, shlex.split(good))
    assert {event["target"] for event in events} == {difference.name for difference in found}
    assert all(event["remedy"] == "R701" for event in events)


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("--amp --lr 1 a.csv", "--lr 2 b.csv"),
        ("--amp a.csv", "b.csv --clip"),
        ("--amp a.csv", "a.csv"),
        ("--lr 1 --aug flip --aug crop", "--aug crop --depth 3"),
        ("x=1 ++y=2 --multi", "y=3 z=4"),
        ("a --x -1", "a b --x -2 -v"),
        ("fit --lr 1 --no-amp", "--debug fit --lr 1"),
    ],
)
def test_every_choice_of_settings_changes_these_and_no_other(bad: str, good: str) -> None:
    found = differences(bad.split(), good.split())
    sizes = range(len(found) + 1)
    for chosen in chain.from_iterable(combinations(found, size) for size in sizes):
        arguments, events = reverted(bad.split(), list(chosen))
        words = sorted(bad.split())
        for difference in chosen:
            for word in shlex.split(difference.bad):
                words.remove(word)
            words += shlex.split(difference.good)
        assert sorted(arguments) == sorted(words)
        assert len(events) == len(chosen)


def test_what_the_line_has_already_is_not_reported() -> None:
    action = REMEDY.reverting(Difference("--lr", "--lr 0.3", "--lr 0.1"))
    program = Program(Tap([].append, Path()), (action,), pytest.fail, ["--lr", "0.1"])
    program.install()
    assert program.arguments == ["--lr", "0.1"]


@pytest.mark.parametrize("action", [REMEDY.default(""), REMEDY.default("--lr")])
def test_without_a_value_to_revert_to_it_is_an_error(action: Action) -> None:
    with pytest.raises(ValueError, match="what to revert it to"):
        REMEDY.change(["--lr", "1"], action)


def test_advice() -> None:
    give = REMEDY.reverting(Difference("--lr", "--lr 0.3", "--lr 0.1"))
    drop = REMEDY.reverting(Difference("--amp", "--amp", ""))
    assert REMEDY.advice(give) == "Give --lr 0.1 for --lr."
    assert REMEDY.advice(drop) == "Leave --amp out."


@pytest.mark.slow
def test_a_script_gets_the_arguments(run_script: Callable[..., Trace], tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import sys; print(sys.argv[1:])")
    action = REMEDY.reverting(Difference("--lr", "--lr 0.3", "--lr '0 1'"))
    trace = run_script(script, "--amp", "--lr", "0.3", treatment=(action,))
    assert trace.ending is not None
    assert trace.ending.output_tail.strip() == "['--amp', '--lr', '0 1']"
    assert [event["target"] for event in trace.applied] == ["--lr"]
