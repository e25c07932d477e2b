"""R701: a setting back to what it was in a configuration that worked."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.arguments import ALL_ARGUMENTS, CommandLine, Difference
from remedies.base import Remedy
from remedies.space import Space, Value
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.surgery import Program

_ABSENT = "(default)"
"""Written for a setting that is to be left out; a shell would quote it, so no argument is this."""


class RevertSetting(Remedy):
    """A setting back to what it was in a configuration that worked.

    What it does:
        Gives the script another value for one of its arguments, or leaves the argument out, before
        the script starts. Nothing else of the program is touched.

    When it helps:
        The script worked with other arguments. Which of the differences matter is found out by
        delta debugging, so it is heard with ``--good`` or ``--good-run`` only.

    Parameters:
        ``to``: what stands on the command line of the configuration that worked, quoted as for a
        shell, or ``(default)`` where it leaves the setting out; ``first``: given where it has to
        come before all other arguments, as an option before a subcommand does; ``alone``: words
        that look like values of an option and are none.

    In the script:
        Nothing: call it with the other arguments.

    Source:
        Zeller and Hildebrandt 2002, Simplifying and Isolating Failure-Inducing Input.
    """

    code = "R701"
    name = "revert-setting"
    # Whatever is wrong may be the fault of a setting; but only --good says to which value.
    treats = {}
    acts_on = "a setting on the command line"

    @property
    def space(self) -> Space:
        """Empty: what to revert to is given, not searched."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """None: a trace does not know what the settings were when it worked."""
        return []

    def reverting(self, difference: Difference) -> Action:
        """The action that takes back one difference."""
        params: dict[str, Value] = {"to": difference.good or _ABSENT}
        if difference.first and not difference.bad:
            params["first"] = True
        if difference.alone:
            params["alone"] = difference.alone
        return Action(remedy=self.code, name=self.name, target=difference.name, params=params)

    def change(self, arguments: Sequence[str], action: Action) -> CommandLine:
        """The arguments as the action makes them.

        Raises:
            ValueError: The action does not say to what to revert.
        """
        if "to" not in action.params or not action.target:
            raise ValueError(f"{action}: needs a setting, and what to revert it to")
        tokens = _tokens(str(action.params["to"]))
        alone = shlex.split(str(action.params.get("alone", "")))
        line = CommandLine.read(arguments, alone)
        if action.target == ALL_ARGUMENTS:
            line = line.together()
        return line.with_setting(action.target, tokens, bool(action.params.get("first")))

    def apply(self, program: Program, action: Action) -> None:
        """Change the arguments that the script is about to get."""
        line = self.change(program.arguments, action)
        if line.tokens == list(program.arguments):
            return
        program.arguments = line
        program.report(action, action.target, f"now {shlex.join(line)}")

    def advice(self, action: Action) -> str:
        """What to give, or to leave out."""
        to = action.params.get("to", _ABSENT)
        return f"Leave {action.target} out." if to == _ABSENT else f"Give {to} for {action.target}."


def _tokens(text: str) -> list[str]:
    return [] if text == _ABSENT else shlex.split(text)
