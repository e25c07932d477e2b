"""R903: labels of a binary loss brought to those that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes._loss_functions import BINARY, SIGNED
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


_TREATED = {*BINARY, *SIGNED}


class RescaleLabels(Remedy):
    """Labels of a binary loss brought to those that it takes.

    What it does:
        Subtracts the smallest label that was seen so far at a line from the labels of a binary
        cross-entropy and divides by the range, once there was one outside of 0 to 1. Where a loss
        takes -1 and 1, brings the smallest and the largest one to these.

    When it helps:
        Labels are 1 and 2, -1 and 1, or 0 and 255, and the loss takes probabilities; or they are 0
        and 1, and the loss takes -1 and 1.

    Parameters:
        None.

    In the script:
        ``y - 1`` for labels 1 and 2, ``(y + 1) / 2`` for -1 and 1, ``mask / 255`` for a mask;
        ``2 * y - 1`` in a ``CosineEmbeddingLoss``.

    Source:
        The documentation of ``torch.nn.BCEWithLogitsLoss`` and ``torch.nn.CosineEmbeddingLoss``.
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
        """The binary losses that the symptoms name; without symptoms, all of them."""
        symptoms = list(symptoms)
        losses = [info.where for info in trace.terms.values() if info.operation in _TREATED]
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
            name = getattr(func, "__name__", "")
            if name not in _TREATED:
                return NotImplemented
            place = SIGNED.get(name, 1)
            labels = args[place] if len(args) > place else kwargs.get("target")
            if not is_dense(labels):
                return NotImplemented
            line = program.line() or ""
            seen = bounds.get(line, (float("inf"), float("-inf")))
            low = min(seen[0], float(labels.min()))
            high = max(seen[1], float(labels.max()))
            bounds[line] = low, high
            taken = (-1.0, 1.0) if name in SIGNED else (0.0, 1.0)
            fits = (low, high) == taken if name in SIGNED else low >= 0 and high <= 1
            if low >= high or fits:
                return NotImplemented
            told = f"labels {low:g} to {high:g} now {taken[0]:g} to {taken[1]:g}"
            program.report(action, action.target, told)
            share = (labels - low) / (high - low)
            new = taken[0] + (taken[1] - taken[0]) * share
            if len(args) > place:
                return func(*args[:place], new, *args[place + 1 :], **kwargs)
            return func(*args, **{**kwargs, "target": new})

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """What to subtract and to divide by."""
        return (
            f"Give {action.target or 'the loss'} labels of 0 and 1: y - 1 for labels 1 and 2, "
            "(y + 1) / 2 for -1 and 1, mask / 255 for a mask; or -1 and 1 where it takes these: "
            "2 * y - 1."
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
