"""What a person sees while a diagnosis works: a live board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TextIO, get_args

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agent.progress import (
    Listener,
    Notice,
    ObjectiveChosen,
    Part,
    PartStarted,
    Progress,
    SymptomsFound,
    TrialEnded,
    TrialProgressed,
    TrialStarted,
)
from agent.report import ReportConsole
from agent.text import duration, number, plain
from agent.wording import location

Detail = Literal["quiet", "normal", "verbose"]
Clock = Callable[[], float]
_MOST_TRIALS = 8


@contextmanager
def watching(
    stream: TextIO, script: str, budget: float, detail: Detail = "normal", live: bool = True
) -> Iterator[Listener]:
    """A listener that shows the diagnosis on ``stream`` for as long as the context is open.

    Args:
        stream: Where to show it; a board if it is a terminal, lines otherwise.
        script: The script as the user named it.
        budget: What may be spent on trials, in untreated runs; the time left is told from it.
        detail: ``quiet`` shows nothing; ``verbose`` also tells when a trial starts.
        live: Whether a terminal may show a board; else it gets lines, too.
    """
    board = Board(script, budget)
    if detail == "quiet":
        yield lambda event: None
        return
    console = ReportConsole(stream)
    if not live or not _is_terminal(stream) or not console.is_terminal or console.is_dumb_terminal:
        yield _lines(board, detail, lambda line: console.print(line, soft_wrap=True))
        return
    picture = BoardPicture(board)
    with Live(picture, console=console, refresh_per_second=8, transient=True) as shown:
        above = shown.console
        yield _lines(board, detail, lambda line: above.print(line, soft_wrap=True), brief=True)


@dataclass(slots=True)
class RunningTrial:
    """A trial that runs now."""

    label: str
    seed: int
    since: float
    step: int = 0
    value: float | None = None


@dataclass
class Board:
    """Everything that is known of the diagnosis right now.

    Attributes:
        script: The script as the user named it.
        budget: What may be spent on trials, in untreated runs.
        clock: Seconds; replaced in tests.
    """

    script: str
    budget: float
    clock: Clock = time.monotonic
    part: Part = "start"
    metric: str = ""
    control: float | None = None
    best: float | None = None
    best_label: str = ""
    baseline_steps: int = 0
    baseline_seconds: float = 0.0
    spent: float = 0.0
    ended: int = 0
    widest: int = 1
    running: dict[int, RunningTrial] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.began = self.clock()

    def feed(self, event: Progress) -> RunningTrial | None:
        """Take in one event; gives the trial that it ended."""
        with self.lock:
            match event:
                case PartStarted():
                    self.part = event.part
                case ObjectiveChosen():
                    self.metric = f"{plain(event.objective.name)} ({event.objective.mode})"
                case TrialStarted():
                    trial = RunningTrial(plain(event.label), event.seed, self.clock())
                    self.running[event.number] = trial
                    self.widest = max(self.widest, len(self.running))
                case TrialProgressed() if event.number in self.running:
                    trial = self.running[event.number]
                    trial.step = event.step
                    trial.value = event.value if event.value is not None else trial.value
                case TrialEnded():
                    return self._end(event)
        return None

    def _end(self, event: TrialEnded) -> RunningTrial:
        trial = self.running.pop(event.number, None) or RunningTrial("", 0, self.clock())
        self.ended += 1
        if event.number == 0:
            self.baseline_steps, self.baseline_seconds = trial.step, event.seconds
            self.control = event.value
        else:
            self.spent += event.seconds
        if event.better and trial.label != "control":
            self.best, self.best_label = event.value, trial.label
        return trial

    @property
    def elapsed(self) -> float:
        """Seconds since the diagnosis began."""
        return self.clock() - self.began

    @property
    def time_left(self) -> float | None:
        """Seconds that the budget still allows for, at most; None where nothing can be said."""
        if self.part not in ("search", "confirm") or not self.baseline_seconds or not self.ended:
            return None
        under_way = sum(self.clock() - trial.since for trial in self.running.values())
        left = self.budget * self.baseline_seconds - self.spent - under_way
        return left / self.widest if left > 0 else None


class BoardPicture:
    """The board as a few lines that fit the terminal."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._spinner: Spinner | None = None

    def __rich__(self) -> RenderableType:
        """See rich."""
        with self._board.lock:
            return Group(self._head(), self._standing(), self._trials(), self._foot())

    def _head(self) -> RenderableType:
        self._spinner = self._spinner or Spinner("line")
        parts = get_args(Part)
        now = parts.index(self._board.part)
        path = Text(no_wrap=True, overflow="ellipsis")
        for index, part in enumerate(parts):
            path.append(" > " if index else "", style="dim")
            path.append(part, style="bold" if index == now else "dim")
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(self._spinner, path, Text(duration(self._board.elapsed), style="dim"))
        return grid

    def _standing(self) -> RenderableType:
        board = self._board
        if not board.metric:
            return _one_line(f"  {plain(board.script)}")
        text = f"  {board.metric}: control {number(board.control)}"
        if board.best is not None:
            text += f", best {number(board.best)} by {board.best_label}"
        return _one_line(text)

    def _trials(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(justify="right", no_wrap=True, style="dim", width=6)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for _ in ("seed", "step", "value"):
            grid.add_column(justify="right", no_wrap=True)
        for key, trial in list(self._board.running.items())[:_MOST_TRIALS]:
            total = f"/{self._board.baseline_steps}" if self._board.baseline_steps else ""
            value = number(trial.value) if trial.value is not None else ""
            cells = (f"#{key}", trial.label, f"seed {trial.seed}", f"{trial.step}{total}", value)
            grid.add_row(*map(Text, cells))
        return grid

    def _foot(self) -> RenderableType:
        board = self._board
        text = f"  {board.ended} trial{'' if board.ended == 1 else 's'} done"
        if len(board.running) > _MOST_TRIALS:
            text += f", {len(board.running)} running"
        if (left := board.time_left) is not None:
            text += f", at most {duration(left)} left"
        return _one_line(text, "dim")


def _one_line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _is_terminal(stream: TextIO) -> bool:
    # Not what rich thinks: FORCE_COLOR makes it take a file for one.
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _lines(
    board: Board, detail: Detail, write: Callable[[str], None], brief: bool = False
) -> Listener:
    """A listener that keeps the board and writes a line for what is worth one.

    Args:
        board: What to keep up to date.
        detail: See `watching`.
        write: Takes one line.
        brief: Leave out what the live board shows anyway.
    """
    verbose = detail == "verbose"

    def listen(event: Progress) -> None:
        trial = board.feed(event)
        if brief and not verbose and isinstance(event, PartStarted | TrialEnded):
            return
        for line in _told(event, trial, board, verbose):
            write(f"[{duration(board.elapsed)}] {line}")

    return listen


def _told(
    event: Progress, trial: RunningTrial | None, board: Board, verbose: bool
) -> Iterator[str]:
    match event:
        case PartStarted():
            yield event.part
        case ObjectiveChosen():
            hint = ", chosen by us; --metric NAME:min|max names another" if event.inferred else ""
            yield f"metric {board.metric}{hint}"
        case SymptomsFound():
            shown = [found for found in event.symptoms if found.alarming or verbose]
            for found in shown:
                severity = f"severity {found.severity:.2f}"
                yield f"{found.code} {found.name} at {location(found)}, {severity}"
            if not shown:
                yield "no symptom"
        case TrialStarted() if verbose:
            yield f"#{event.number} {plain(event.label)}, seed {event.seed}: started"
        case TrialEnded() if trial is not None:
            best = ", best so far" if event.better and trial.label != "control" else ""
            yield (
                f"#{event.number} {trial.label}, seed {trial.seed}: {plain(event.verdict)}, "
                f"{number(event.value)}{best} ({duration(event.seconds)})"
            )
        case Notice():
            yield plain(event.text)
