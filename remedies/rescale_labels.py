"""R903: labels of a binary cross-entropy brought to 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes._loss_functions import BINARY
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class RescaleLabels(Remedy):
    """Labels of a binary cross-entropy brought to 0 and 1.

    What it does:
        Subtracts the smallest label that was seen so far at a line from the labels of a binary
        cross-entropy and divides by the range, once there was one outside of 0 to 1.

    When it helps:
        Labels are 1 and 2, -1 and 1, or 0 and 255, and the loss takes probabilities.

    Parameters:
        None.

    In the script:
        ``y - 1`` for labels 1 and 2, ``(y + 1) / 2`` for -1 and 1, ``mask / 255`` for a mask.

    Source:
        The documentation of ``torch.nn.BCEWithLogitsLoss``.
    """

    code = "R903"
    name = "rescale-labels"
    treats = {"P903": 0.9}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The binary cross-entropies that the symptoms name; without symptoms, all of them."""
        symptoms = list(symptoms)
        losses = [info.where for info in trace.terms.values() if info.operation in BINARY]
        lines = set(trace.places("label.outside"))
        named = [s.where for s in symptoms if s.where in losses or s.source in lines]
        known = {*trace.terms, *lines}
        found = [where for where in named if where in known]
        return list(dict.fromkeys(found)) or ([] if symptoms else losses)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of such losses."""
        from probes.tap.dense import is_dense

        bounds: dict[str, tuple[float, float]] = {}

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if getattr(func, "__name__", "") not in BINARY:
                return NotImplemented
            given = dict(zip(("input", "target"), args, strict=False)) | kwargs
            labels = given.pop("target", None)
            if not is_dense(labels):
                return NotImplemented
            line = program.line() or ""
            seen = bounds.get(line, (float("inf"), float("-inf")))
            low = min(seen[0], float(labels.min()))
            high = max(seen[1], float(labels.max()))
            bounds[line] = low, high
            if low >= high or (low >= 0 and high <= 1):
                return NotImplemented
            program.report(action, action.target, f"labels {low:g} to {high:g} now 0 to 1")
            scores = given.pop("input")
            return func(scores, (labels - low) / (high - low), *args[2:], **given)

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """What to subtract and to divide by."""
        return (
            f"Give {action.target or 'the loss'} labels of 0 and 1: y - 1 for labels 1 and 2, "
            "(y + 1) / 2 for -1 and 1, mask / 255 for a mask."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Subtract and divide where the labels are given to the loss."""
        from remedies.source.losses import loss_at, shift_labels

        trace = source.trace
        for target in action.targets:
            info = trace.terms.get(target)
            line = (info.source if info is not None else target) or ""
            low = trace.signal("train", line, "label.lowest").values
            high = trace.signal("train", line, "label.highest").values
            if not low or not high or min(low) >= max(high):
                raise Unwritable(f"which labels there are at {line} is not known")
            shift_labels(loss_at(*source.place(line)), min(low), max(high))
