"""R601: activation checkpointing of another kind, or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_PACKAGE = "torch.utils.checkpoint"


class DisableCheckpointing(Remedy):
    """Activation checkpointing of another kind, or none.

    What it does:
        Has every call of ``torch.utils.checkpoint.checkpoint`` made with ``use_reentrant=False``,
        or has the function called without a checkpoint. Calls of ``checkpoint_sequential`` go the
        same way. What is trained stays the same, but for gradients that the checkpoint changed.

    When it helps:
        Reentrant checkpointing cuts off parameters where none of its tensor arguments requires a
        gradient. Non-reentrant checkpointing records the graph and does not. Where training is bit
        for bit the same without a checkpoint, the checkpoint is not the cause.

    Parameters:
        ``to``: ``non-reentrant`` (memory is still saved; offered where reentrant calls were seen)
        or ``off`` (more memory, and the segments are run once).

    In the script:
        ``checkpoint(block, x, use_reentrant=True)`` becomes
        ``checkpoint(block, x, use_reentrant=False)``.

    Source:
        The notes of ``torch.utils.checkpoint`` on the two kinds.
    """

    code = "R601"
    name = "disable-checkpointing"
    treats = {"P601": 0.9, "P501": 0.02}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice(("non-reentrant", "off"))}

    def space_for(self, trace: Trace) -> Space:
        """None of the other kind where all calls are of that kind already."""
        reentrant = [
            value
            for where in trace.places("checkpoint.reentrant")
            for value in trace.signal("train", where, "checkpoint.reentrant").values
        ]
        return {"to": Choice(("off",))} if reentrant and not any(reentrant) else self.space

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """Without a checkpoint where the gradient is not lost, but that of another function."""
        action = super().default(target)
        lost = [symptom.evidence.get("lost", 1.0) for symptom in symptoms]
        if lost and not any(lost):
            return action.model_copy(update={"params": {"to": "off"}})
        return action

    def apply(self, program: Program, action: Action) -> None:
        """Answer every call of ``checkpoint`` in another way."""
        import functools

        import torch.utils.checkpoint as package

        from probes.tap.parity import Call

        if action.params["to"] not in ("non-reentrant", "off"):
            raise ValueError(f"{action}: checkpointing is non-reentrant or off")
        original = package.checkpoint

        @functools.wraps(original)
        def checkpoint(function: Any, *args: Any, **kwargs: Any) -> Any:
            call = Call(original, function, args, kwargs)
            if action.params["to"] == "off":
                program.report(action, "", "called without a checkpoint")
                return function(*args, **call.own)
            if call.reentrant:
                program.report(action, "", "called with use_reentrant=False")
            return original(function, *args, **(kwargs | {"use_reentrant": False}))

        program.replace(package, "checkpoint", checkpoint)

    def advice(self, action: Action) -> str:
        """How to call it."""
        if action.params["to"] == "off":
            return (
                "Call the function itself instead of torch.utils.checkpoint.checkpoint(function)."
            )
        return "Call torch.utils.checkpoint.checkpoint with use_reentrant=False."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``use_reentrant=False`` into every call."""
        if action.params["to"] == "off":
            raise Unwritable("calls are not taken out of their checkpoint")
        places = [where.rpartition("@")[2] for where in source.trace.places("checkpoint.reentrant")]
        for call in source.calls(
            (f"{_PACKAGE}.checkpoint", f"{_PACKAGE}.checkpoint_sequential"), places
        ):
            call.set("use_reentrant", "False")
