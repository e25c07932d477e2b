"""R811: targets in the shape of the predictions."""

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


class AlignShapes(Remedy):
    """Targets in the shape of the predictions.

    What it does:
        Where a regression loss, or a difference or product of a prediction and a target, would
        broadcast (N, 1) against (N,), the target is reshaped to the shape of the prediction first.

    When it helps:
        The loss compares every prediction with every target, and the model learns their mean.

    Parameters:
        None.

    In the script:
        ``loss(model(x).squeeze(-1), y)``, or ``loss(model(x), y.unsqueeze(-1))``.

    Source:
        The warning of ``torch.nn.functional.mse_loss`` on sizes that differ.
    """

    code = "R811"
    name = "align-shapes"
    treats = {"P811": 0.95}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The loss terms that the symptoms name."""
        return named(symptoms, trace)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls that would broadcast."""
        from remedies.surgery.shapes import AlignedShapes

        program.rewrite_calls(
            AlignedShapes(lambda detail: program.report(action, action.target, detail))
        )

    def advice(self, action: Action) -> str:
        """What to reshape."""
        return (
            f"Give the target the shape of the prediction in {action.target or 'the loss'}: "
            "target.reshape(prediction.shape), or prediction.squeeze(-1)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Reshape one side to the other where they were broadcast."""
        trace = source.trace
        lines = [
            line
            for line in trace.places("loss.broadcast")
            if any(trace.signal("train", line, "loss.broadcast").finite.values)
        ]
        if not lines:
            raise Unwritable("no line was seen to broadcast")
        source.align_shapes(lines)
