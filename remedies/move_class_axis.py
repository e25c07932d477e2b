"""R813: scores with the classes along the axis where the loss takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class MoveClassAxis(Remedy):
    """Scores with the classes along the axis where the loss takes them.

    What it does:
        Where a reshape would mix the classes of one position with other positions, the axis of the
        classes is moved: to the second place for a loss of (batch, classes, positions), to the end
        before it is flattened to (positions, classes).

    When it helps:
        The script has a ``view`` or ``reshape`` where a ``transpose`` or ``permute`` was meant.

    Parameters:
        None.

    In the script:
        ``logits.transpose(1, 2)`` for ``logits.view(batch, classes, length)``, and
        ``scores.movedim(1, -1).reshape(-1, classes)`` for ``scores.view(-1, classes)``.

    Source:
        The documentation of ``torch.nn.functional.cross_entropy`` (shapes) and ``torch.movedim``.
    """

    code = "R813"
    name = "move-class-axis"
    treats = {"P813": 0.95}
    acts_on = "a line"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The lines of the reshapes."""
        named = {symptom.source for symptom in symptoms}
        known = trace.places("scramble.classes")
        return [line for line in known if line in named or not named]

    def apply(self, program: Program, action: Action) -> None:
        """Answer the reshapes of the line.

        Raises:
            ValueError: There is no line.
        """
        if not action.targets:
            raise ValueError("which line reshapes the scores must be told")
        from remedies.surgery.class_axes import MovedClassAxis

        program.rewrite_calls(
            MovedClassAxis(
                action.targets,
                program.line,
                program.inside_module,
                lambda line, detail: program.report(action, line, detail),
            )
        )

    def advice(self, action: Action) -> str:
        """What to move."""
        return (
            f"Move the axis of the classes at {action.target or 'the reshape before the loss'}: "
            "logits.transpose(1, 2) for (batch, classes, positions), "
            "scores.movedim(1, -1).reshape(-1, classes) for (positions, classes)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Move the axis in the place of the reshape, or before it.

        Raises:
            Unwritable: The line does not reshape the scores once and plainly.
        """
        from remedies.source import class_axes

        for line in action.targets:
            file, number = source.place(line)
            axis, dims, same, last = (
                int(values[-1]) if values else 0
                for name in ("axis", "dims", "same", "last")
                for values in [source.trace.signal("train", line, f"scramble.{name}").values]
            )
            if not last:
                raise Unwritable(f"the loss is not given what {line} makes")
            class_axes.move(file, number, axis, dims, bool(same))
