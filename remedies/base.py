"""The one base class of all remedies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.source.errors import Unwritable
from remedies.space import Space, complete
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program

Reach = Literal["model", "optimizer", "script"]


class Remedy(ABC):
    """Something that can be changed in a living training program, from outside.

    A remedy is one file with one subclass. Its class docstring is its documentation page (printed
    by ``agent explain``) and has the headings ``What it does``, ``When it helps``, ``Parameters``,
    ``In the script`` and ``Source``. The module must not import torch at its top: the controller
    reads the registry, and only the process of a trial calls `apply`.

    Attributes:
        code: Stable code, ``R`` and three digits; never used again for something else.
        name: Stable name of the act, in kebab case.
        treats: For each symptom code, how likely it is that this cures it (0 to 1), before any
            evidence. Low values are the hypotheses that people try first: they get their trial,
            after the likelier ones; below 0.1 only when they are asked for (``--try``).
        acts_on: What a target is; ``program`` where there is none.
        separable: Whether single targets of a confirmed action are left out, one by one, to see
            which of them matter.
        reach: What has to be at hand to apply it for good (see `remedies.apply`): a ``model``, its
            ``optimizer``, too, or the ``script``, where it acts on the loop, the loss or the data.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    treats: ClassVar[Mapping[str, float]]
    acts_on: ClassVar[str]
    separable: ClassVar[bool] = False
    reach: ClassVar[Reach] = "script"

    @property
    @abstractmethod
    def space(self) -> Space:
        """The parameters and the values that they may take."""

    def space_for(self, trace: Trace) -> Space:
        """The part of the space that makes sense for a program: all of it, usually."""
        return self.space

    def space_near(self, action: Action, trace: Trace) -> Space:
        """The part of the space that is searched around an action: `space_for`, usually."""
        return self.space_for(trace)

    @abstractmethod
    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """Where to apply it, likeliest first, given the symptoms of one code that it treats.

        A target is written as in `Action.target`. Without symptoms, every place where the remedy
        can be applied at all.
        """

    @abstractmethod
    def apply(self, program: Program, action: Action) -> None:
        """Apply it to the living program, before its first step.

        Called in the process of the trial, before the script starts. The remedy says to
        ``program`` what shall be changed and when; the program reports back that it was.

        Raises:
            ValueError: The action's target or parameters make no sense.
        """

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """The action to try first, given the symptoms that it is to cure."""
        params = complete(self.space, {})
        return Action(remedy=self.code, name=self.name, target=target, params=params)

    def further(self, action: Action) -> Action | None:
        """The next step in the same direction, to try where the action helped but did not cure.

        None where there is no direction, or no room.
        """
        return None

    def advice(self, action: Action) -> str:
        """One or two lines that tell a person what to change in the script."""
        return f"{action}"

    def rewrite(self, source: Source, action: Action) -> None:
        """Make the action permanent: ask for the edits that do the same in the user's script.

        A remedy that does not say how cannot be written. Called in the process of the controller,
        which has no torch.

        Raises:
            Unwritable: It cannot be written, or not safely.
        """
        raise Unwritable(f"{self.name} cannot be written into a script")

    def helper(self, source: Source, action: Action) -> Helper:
        """A few lines to paste into the script that do the same, where a rewrite is not safe.

        They stand by themselves: torch alone, nothing of ours.

        Raises:
            Unwritable: There are none, or it is not clear where they belong.
        """
        raise Unwritable(f"{self.name} is no matter of a few lines")
