"""R817: samples along the axis where they are taken to lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.source import Source
    from remedies.surgery import Program

_SIGNATURE = ("input_size", "hidden_size", "num_layers", "bias", "batch_first")


class KeepSamplesApart(Remedy):
    """Samples along the axis where they are taken to lie.

    What it does:
        Has recurrent and attention layers take the first axis for the samples; and where a reshape
        makes rows of a tensor in which the samples lie along another axis, moves that axis to the
        front first. A softmax along the samples is taken along the last axis.

    When it helps:
        A layer goes from sample to sample as if they were moments, a row has pieces of several
        samples, or they compete in a softmax.

    Parameters:
        None.

    In the script:
        ``nn.LSTM(8, 64, batch_first=True)``; ``h.movedim(1, 0).reshape(batch, -1)`` for
        ``h.view(batch, -1)``; ``scores.softmax(-1)`` for ``scores.softmax(0)``.

    Source:
        The documentation of ``torch.nn.LSTM`` and ``torch.movedim``.
    """

    code = "R817"
    name = "keep-samples-apart"
    treats = {"P817": 0.9}
    acts_on = "layers and lines"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The layers and lines that symptoms name, together; all that were seen without any."""
        symptoms = list(symptoms)
        named = {place for symptom in symptoms for place in (symptom.where, symptom.source)}
        names = ("samples.in_time", "samples.axis", "samples.compete")
        known = [place for name in names for place in trace.places(name)]
        found = [place for place in known if place in named or not symptoms]
        if found:
            yield ",".join(found)

    def apply(self, program: Program, action: Action) -> None:
        """Set the layers before the first step, and answer the reshapes of the lines."""
        from remedies.surgery.sample_axes import MovedSamples

        def put_first(layer: nn.Module) -> nn.Module:
            layer.batch_first = True  # type: ignore[assignment]
            program.report(action, action.target, "samples along the first axis")
            return layer

        lines = [target for target in action.targets if _is_line(target)]
        for target in action.targets:
            if target not in lines:
                program.edit_module(action, target, put_first)
        if lines:
            program.rewrite_calls(
                MovedSamples(
                    lines, program.line, lambda line, told: program.report(action, line, told)
                )
            )

    def advice(self, action: Action) -> str:
        """Which axis to move."""
        return (
            f"Keep the samples of a batch apart at {action.target or 'the layer'}: "
            "batch_first=True for a layer that is given (batch, time, features), and "
            "h.transpose(0, 1).reshape(batch, -1) where samples lie along the second axis, "
            "softmax(-1) for softmax(0)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``batch_first=True``, or move the axis before the reshape."""
        from remedies.source.functions import set_axis
        from remedies.source.reshapes import move_first

        layers = [target for target in action.targets if not _is_line(target)]
        for call in source.constructors(layers):
            call.set("batch_first", "True", *_SIGNATURE)
        for line in action.targets:
            if _is_line(line):
                file, number = source.place(line)
                axis = source.trace.signal("train", line, "samples.axis").values
                if axis:
                    move_first(file, number, int(axis[-1]))
                else:
                    set_axis(file, number, "softmax", -1)


def _is_line(target: str) -> bool:
    return target.rpartition(":")[2].isdigit()
