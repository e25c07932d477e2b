"""A person at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.table import Table

from agent.heard import Heard, explain
from agent.policies.base import Policy
from agent.ranking import Hypothesis
from agent.report import ReportConsole
from agent.text import plain
from remedies.treatment import CONTROL, Treatment, describe

if TYPE_CHECKING:
    from agent.episode import Episode

_MOST_SHOWN = 12
_HELP = "number: apply it as well; -number: take it back; all: whole list; c: confirm; s: stop"


class Interactive(Policy):
    """Lets a person choose in the terminal, and shows what comes of it.

    What is chosen is applied on top of what is applied already; the list has what could be applied
    to the program as it is then, likeliest first.
    """

    name = "interactive"
    talks = True

    def play(self, episode: Episode) -> None:
        """Ask until the person stops, or the budget is spent."""
        _Dialogue(episode).run()


class _Dialogue:
    """What is applied now, and the words about it, on stderr: stdout is for the answer."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._console = ReportConsole(sys.stderr)
        self._now: Heard | None = None
        self._whole = False

    def run(self) -> None:
        self._say(_HELP)
        while self._episode.affordable and self._episode.findings.fix is None:
            options = self._episode.options(self._now)
            self._show(options)
            try:
                answer = click.prompt("apply", err=True, default="s", show_default=False)
            except click.Abort:  # The end of a piped input: nobody is there any more.
                return
            match str(answer).strip().lower():
                case "s" | "stop" | "q":
                    return
                case "c" | "confirm":
                    self._confirm()
                case "all":
                    self._whole = True
                case text:
                    self._apply(text, options)

    @property
    def _applied(self) -> Treatment:
        return self._now.treatment if self._now else CONTROL

    def _apply(self, text: str, options: list[Hypothesis]) -> None:
        treatment = self._chosen(text, options)
        if treatment is None:
            self._say(f"{plain(text)!r} is none of these. {_HELP}")
        elif not treatment:
            self._now = None
        else:
            self._now = self._episode.try_treatment(treatment) or self._now
            if self._now is not None:
                self._say(_vitals(self._now))

    def _chosen(self, text: str, options: list[Hypothesis]) -> Treatment | None:
        try:
            number = int(text)
        except ValueError:
            return None
        if 1 <= number <= len(options):
            return (*self._applied, options[number - 1].action)
        if 1 <= -number <= len(self._applied):
            return tuple(a for n, a in enumerate(self._applied, 1) if n != -number)
        return None

    def _confirm(self) -> None:
        if self._now is None:
            self._say("nothing is applied that could be confirmed")
            return
        confirmation = self._episode.confirm(self._now.treatment)
        self._say(confirmation.objection or confirmation.comparison.sentence)

    def _show(self, options: list[Hypothesis]) -> None:
        for number, action in enumerate(self._applied, 1):
            self._say(f"applied -{number}: {action}")
        table = Table("", "remedy", "treats", "chance", box=None, pad_edge=False)
        shown = options if self._whole else options[:_MOST_SHOWN]
        for number, option in enumerate(shown, 1):
            table.add_row(
                str(number),
                plain(str(option.action)),
                " ".join(sorted(self._alarms() & set(option.remedy.treats))),
                f"{option.weight:.2f}",
            )
        self._console.print(table)
        if len(shown) < len(options):
            self._say(f"{len(options) - len(shown)} unlikely ones more: all")

    def _alarms(self) -> set[str]:
        found = self._now.assessment.symptoms if self._now else self._episode.findings.symptoms
        return {symptom.code for symptom in found if symptom.alarming}

    def _say(self, text: str) -> None:
        self._console.print(plain(text), soft_wrap=True, markup=False)


def _vitals(heard: Heard) -> str:
    """What came of a trial, in one line."""
    told = explain(heard, None)
    return f"{describe(heard.treatment)}: {'recovers, ' if heard.recovers else ''}{told}"
