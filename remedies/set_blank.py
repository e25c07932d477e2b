"""R904: the last output for the blank of a CTC loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes import _signatures
from probes._loss_functions import TRANSCRIPTION
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class SetBlank(Remedy):
    """The last output for the blank of a CTC loss.

    What it does:
        Has a connectionist temporal classification take the last output of the model for the
        blank, the class that stands for no label.

    When it helps:
        The loss takes output 0 for the blank, as it does unless it is told, while 0 is a label and
        the decoder takes the last output for the blank.

    Parameters:
        None.

    In the script:
        ``nn.CTCLoss(blank=len(alphabet))``.

    Source:
        The documentation of ``torch.nn.CTCLoss``; Graves et al. 2006, Connectionist Temporal
        Classification.
    """

    code = "R904"
    name = "set-blank"
    treats = {"P903": 0.9}
    acts_on = "a line"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The lines of losses whose last output is no label."""
        named = {symptom.source for symptom in symptoms}
        for line in trace.places("label.blank"):
            highest = trace.signal("train", line, "label.highest").finite.values
            if (line in named or not named) and max(highest, default=0) < _last(trace, line):
                yield line

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of the lines.

        Raises:
            ValueError: There is no line.
        """
        if not action.targets:
            raise ValueError("which line computes the loss must be told")

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if getattr(func, "__name__", "") != TRANSCRIPTION:
                return NotImplemented
            line = program.line()
            given = dict(zip(_signatures.TRANSCRIPTION, args, strict=False)) | kwargs
            last = given["log_probs"].shape[-1] - 1
            if line not in action.targets or given.get("blank", 0) == last:
                return NotImplemented
            program.report(action, line, f"blank {given.get('blank', 0)} now {last}")
            return func(**given | {"blank": last})

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """What to pass."""
        return (
            f"Pass blank=len(alphabet) to the CTC loss at {action.target or 'its line'}: the "
            "output that the decoder takes for no label."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Pass ``blank`` where the loss is made or called."""
        from remedies.source.losses import loss_at

        for line in action.targets:
            loss = loss_at(*source.place(line))
            signature = (
                _signatures.TRANSCRIPTION
                if loss.is_function
                else _signatures.TRANSCRIPTION_SETTINGS
            )
            loss.made.set("blank", str(_last(source.trace, line)), *signature)


def _last(trace: Trace, line: str) -> int:
    """The number of the last output; -1 where it is not known."""
    classes = trace.signal("train", line, "label.classes").finite.values
    return int(classes[-1]) - 1 if classes else -1
