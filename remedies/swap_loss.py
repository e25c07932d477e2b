"""R812: classes learned by a cross-entropy in the place of a squared error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies._named import named
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class SwapLoss(Remedy):
    """Classes learned by a cross-entropy in the place of a squared error.

    What it does:
        Where a mean squared error, an L1 or a Huber loss (of torch or written by hand) compares the
        output of a softmax or sigmoid with labels of classes, the gradient is that of the
        cross-entropy of what the activation was given. The value that the script prints stays what
        it was, and so does evaluation.

    When it helps:
        The slope of the activation leaves next to nothing of the gradient of a squared error: with
        many classes, or where the model is sure and wrong.

    Parameters:
        None.

    In the script:
        ``F.cross_entropy(scores, labels)``, or ``F.binary_cross_entropy_with_logits(scores, y)``,
        with the scores from before the activation.

    Source:
        Golik et al. 2013, Cross-Entropy vs. Squared Error Training: a Theoretical and Experimental
        Comparison.
    """

    code = "R812"
    name = "swap-loss"
    treats = {"P812": 0.95}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The loss terms that the symptoms name."""
        return named(symptoms, trace)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of such losses."""
        from remedies.surgery.cross_entropies import CrossEntropies

        program.rewrite_calls(
            CrossEntropies(lambda detail: program.report(action, action.target, detail))
        )

    def advice(self, action: Action) -> str:
        """Which loss to call, and with what."""
        return (
            f"Learn the classes at {action.target or 'the loss'} by F.cross_entropy (or, for a "
            "sigmoid, F.binary_cross_entropy_with_logits) of the scores before the activation."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Call the other loss, and take the softmax out that it has itself.

        A sigmoid stays, and gets the cross-entropy that takes probabilities.
        """
        from remedies.source.activated import without_softmax
        from remedies.source.losses import loss_at

        places = [place.split("|") for place in source.trace.places("loss.class_targets")]
        if len(places) != 1 or len(places[0]) != 4 or not set(action.targets) <= _named(source):
            raise Unwritable("it is not clear which loss of which activation it is")
        line, activated, kind, _ = places[0]
        loss = loss_at(*source.place(line))
        if loss.kind not in ("mse_loss", "MSELoss") or loss.made.node.args[2 * loss.is_function :]:
            raise Unwritable(f"{loss.kind} is not written as a cross-entropy")
        if kind == "sigmoid":
            return loss.rename("binary_cross_entropy" if loss.is_function else "BCELoss")
        loss.rename("cross_entropy" if loss.is_function else "CrossEntropyLoss")
        without_softmax(*source.place(activated))


def _named(source: Source) -> set[str]:
    """What a target may be where there is one loss only."""
    return {*source.trace.terms} if len(source.trace.terms) == 1 else set()
