"""P813: classes and positions mixed by a reshape before the loss."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _places
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_PERSISTS = 0.8
_FEWEST_POINTS = 3


class ScrambledAxes(Probe):
    """Classes and positions mixed by a reshape before the loss.

    What it detects:
        Scores (batch, positions, classes) that ``view`` or ``reshape`` brings into the shape
        (batch, classes, positions) that ``cross_entropy`` and ``nll_loss`` take, where the axes had
        to change places; or scores (batch, classes, height, width) that are flattened to
        (positions, classes) with the classes not moved to the end first.

    Why it harms:
        A reshape keeps the order of the elements in memory. What the loss then takes for the
        classes of one position are scores of several, and each label is compared with those of
        other places, without an error. The model learns little more than how common each class is.

    Rule:
        The autograd graph leads from the input of the loss to the layer that made it. In four of
        five probed steps, three at least, the axis along which the layer made its outputs is as
        long as the loss has classes, and from some reshape on it is no axis any more; permuting and
        transposing moves it, and splitting or joining other axes leaves it. Where positions are as
        many as classes, it is a reshape to the same shape that leaves it where the loss has
        positions. Where the layer is not known, what the loss takes for classes must cut across
        the axes of what was reshaped. Outputs that are split into parts are meant, and so are
        positions to choose from, even as many as there are classes. No reading of the numbers
        makes sense of the rest: severity 0.9.

    Example:
        bad: ``F.cross_entropy(logits.view(batch, classes, length), labels)``
        good: ``F.cross_entropy(logits.transpose(1, 2), labels)``

    Source:
        The documentation of ``torch.nn.functional.cross_entropy`` (shapes) and of
        ``torch.Tensor.view`` (the same data in the same order); Humbatova et al. 2020, Taxonomy of
        Real Faults in Deep Learning Systems (wrong tensor shape).
    """

    code = "P813"
    name = "scrambled-axes"
    signals = ("loss.scrambled", "scramble.classes")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for place in trace.places("loss.scrambled"):
            line, _, reshape = place.partition("|")
            seen = trace.signal("train", place, "loss.scrambled").finite
            count = sum(seen.values)
            sizes = trace.signal("train", reshape, "scramble.classes").finite.values
            if count < _FEWEST_POINTS or count < _PERSISTS * _looked(trace, line) or not sizes:
                continue
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.9,
                where=_places.term_at(trace, line),
                source=reshape or None,
                step=seen.steps[0],
                evidence={"classes": sizes[-1], "steps": count},
                message=(
                    f"the reshape at {reshape or line} mixes the {sizes[-1]:.0f} classes of each "
                    f"position with other positions before the loss at {line}: it keeps the order "
                    "of the elements and moves no axis"
                ),
            )


def _looked(trace: Trace, line: str) -> int:
    """How often the loss at a line was looked at."""
    places = [p for p in trace.places("loss.scrambled") if p.partition("|")[0] == line]
    return sum(len(trace.signal("train", place, "loss.scrambled").finite) for place in places)
