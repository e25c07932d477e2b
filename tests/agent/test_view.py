"""The view: a board on a terminal, lines elsewhere, and nothing that a name can break."""

import io
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from agent.progress import (
    Notice,
    ObjectiveChosen,
    PartStarted,
    Progress,
    SymptomsFound,
    TrialEnded,
    TrialProgressed,
    TrialStarted,
)
from agent.report import ReportConsole
from agent.view import Board, BoardPicture, Detail, watching
from probes.objective import Objective
from probes.symptom import Symptom

NASTY = "a[red]b[/nope]\x1b[2J\x07\u202e\nc"
SYMPTOM = Symptom(code="P101", name="fault", severity=0.9, where="net.1", message="bad")
EVENTS: list[Progress] = [
    PartStarted("start"),
    PartStarted("observe"),
    TrialStarted(0, "control", 0, "observe"),
    TrialProgressed(0, 320, 0.1),
    TrialEnded(0, "observed", 0.164, True, 10.0),
    ObjectiveChosen(Objective(name="val_acc", mode="max"), inferred=True),
    SymptomsFound((SYMPTOM,)),
    PartStarted("search"),
    TrialStarted(1, "swap-norm(to=instance) @ net.1", 0, "search"),
    TrialStarted(2, NASTY, 0, "search"),
    TrialProgressed(1, 120, 0.5),
    TrialProgressed(2, 90, None),
    TrialEnded(1, "recovers", 0.971, True, 9.0),
    Notice(NASTY),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, detail: Detail = "normal") -> str:
    with watching(stream, "train.py", 24.0, detail) as listener:
        for event in EVENTS:
            listener(event)
    return stream.getvalue()


def board_after(count: int, tick: float = 1.0) -> Board:
    now = [0.0]
    board = Board("train.py", 24.0, clock=lambda: now[0])
    for event in EVENTS[:count]:
        now[0] += tick
        board.feed(event)
    return board


def picture(board: Board, width: int) -> list[str]:
    console = ReportConsole(io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(BoardPicture(board))
    return capture.get().splitlines()


def test_lines_tell_each_part_and_each_trial_once() -> None:
    lines = [line.split("] ", 1)[1] for line in show(io.StringIO()).splitlines()]
    assert lines == [
        "start",
        "observe",
        "#0 control, seed 0: observed, 0.164 (10 s)",
        "metric val_acc (max), chosen by us; --metric NAME:min|max names another",
        "P101 fault at net.1, severity 0.90",
        "search",
        "#1 swap-norm(to=instance) @ net.1, seed 0: recovers, 0.971, best so far (9.0 s)",
        "a[red]b[/nope] c",
    ]


def test_lines_have_no_control_codes_even_if_colour_is_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", show(io.StringIO()))


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in show(Terminal())


def test_long_lines_are_not_broken_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert any(len(line) > 60 for line in show(io.StringIO()).splitlines())


def test_quiet_shows_nothing_and_verbose_more() -> None:
    assert show(io.StringIO(), "quiet") == ""
    assert "#1 swap-norm(to=instance) @ net.1, seed 0: started" in show(io.StringIO(), "verbose")


def test_a_terminal_gets_a_live_board_that_leaves_only_what_matters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = show(Terminal())
    assert "\x1b[?25l" in text and text.rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in text, "the cursor is shown again"
    assert "P101 fault at net.1" in text
    assert "\x1b[2J" not in text and "\x07" not in text


def test_an_error_in_the_diagnosis_gives_the_terminal_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), watching(stream, "train.py", 24.0):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize("width", [20, 60, 80, 120])
@pytest.mark.parametrize("count", range(len(EVENTS) + 1))
def test_the_board_fits_every_width_at_every_moment(width: int, count: int) -> None:
    assert max(map(cell_len, picture(board_after(count), width))) <= width


def test_the_board_shows_what_runs_and_how_far() -> None:
    text = "\n".join(picture(board_after(12), 80))
    assert re.search(r"#1 +swap-norm\(to=instance\) @ net\.1 +seed 0 +120/320 +0\.5", text)
    assert "a[red]b[/nope] c" in text
    assert "val_acc (max): control 0.164" in text
    assert "best" not in text, "the control is no treatment"
    text = "\n".join(picture(board_after(13), 80))
    assert "best 0.971 by swap-norm" in text
    assert "#1" not in text


def test_time_left_is_what_the_budget_still_allows() -> None:
    assert board_after(7).time_left is None, "nothing can be said before the search"
    board = board_after(len(EVENTS))
    # 24 runs of 10 s, less 9 s of trial 1 and 4 s of trial 2 so far; two at a time.
    assert board.time_left == pytest.approx((240 - 9 - 4) / 2)
    spent = Board("train.py", 0.1, clock=lambda: 0.0)
    for event in EVENTS:
        spent.feed(event)
    assert spent.time_left is None


def test_unknown_trials_and_many_trials_do_no_harm() -> None:
    board = Board("train.py", 24.0)
    board.feed(TrialProgressed(7, 1, 0.1))
    board.feed(TrialEnded(7, "refuted", None, False, 1.0))
    for number in range(50):
        board.feed(TrialStarted(number, "x", 0, "search"))
    lines = picture(board, 60)
    assert len(lines) < 15
    assert "50 running" in lines[-1]


def test_a_stream_without_a_terminal_test_is_no_terminal() -> None:
    class Bare(io.StringIO):
        isatty: Callable[[], bool]

        def __getattribute__(self, name: str) -> object:
            if name == "isatty":
                raise AttributeError(name)
            return super().__getattribute__(name)

    with watching(Bare(), "train.py", 24.0) as listener:
        listener(EVENTS[0])
