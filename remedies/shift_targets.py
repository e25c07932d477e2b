"""R909: the tokens that come next for labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class ShiftTargets(Remedy):
    """The tokens that come next for labels.

    What it does:
        Moves the labels of a classification loss by one place, where they are the tokens that an
        embedding was asked for: what is predicted at a place is the token behind it. The last place
        of each sequence does not count.

    When it helps:
        A language model or a decoder is trained to predict the tokens that it is given.

    Parameters:
        None.

    In the script:
        ``F.cross_entropy(logits[:, :-1].reshape(-1, words), tokens[:, 1:].reshape(-1))``.

    Source:
        Williams and Zipser 1989, A Learning Algorithm for Continually Running Fully Recurrent
        Neural Networks, on teacher forcing.
    """

    code = "R909"
    name = "shift-targets"
    treats = {"P909": 0.9}
    acts_on = "a line"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The lines of the losses."""
        named = {symptom.source for symptom in symptoms}
        return [line for line in trace.places("tokens.copied") if line in named or not named]

    def apply(self, program: Program, action: Action) -> None:
        """Move the labels of the lines.

        Raises:
            ValueError: There is no line.
        """
        if not action.targets:
            raise ValueError("which line computes the loss must be told")
        from remedies.surgery.target_tokens import ShiftedTargets

        program.rewrite_calls(
            ShiftedTargets(
                action.targets, program.line, lambda line, told: program.report(action, line, told)
            )
        )

    def advice(self, action: Action) -> str:
        """What to predict."""
        return (
            f"Predict the token that comes next at {action.target or 'the loss'}: "
            "logits[:, :-1] against tokens[:, 1:]."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Leave the last prediction and the first token out.

        Raises:
            Unwritable: The line does not flatten both within the call of one loss.
        """
        from remedies.source.target_tokens import shift

        for line in action.targets:
            shift(*source.place(line))
