"""P817: what is computed for a sample is made of others of its batch."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _places
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_PERSISTS = 0.8
_FEWEST_POINTS = 3
_LEFT = 0.1


class CrossedSamples(Probe):
    """What is computed for a sample is made of others of its batch.

    What it detects:
        A recurrent or an attention layer that expects time along the first axis and is given the
        samples there, because nobody said ``batch_first=True``; a ``view`` that makes rows of a
        tensor in which the samples lie along another axis, such as the last states of a
        bidirectional GRU.

    Why it harms:
        The layer goes from sample to sample as if they were moments, and the reshape puts pieces of
        several samples into one row. Labels are compared with what is known of others, without an
        error.

    Rule:
        The first axis of a loss's labels tells how many samples there are. In four of five
        probed steps, three at least: the first of the three axes of what such a layer is given is
        as long as that, and the second one is neither one nor as long as any axis of the labels,
        which could be those of the moments of each sample; or a reshape of something with
        gradient makes that many rows of a tensor in which exactly one axis is as long, which is not
        the first, and those before it have more than one element. Nobody means that: severity
        0.9 where a bounded metric leaves more than a tenth of its range to gain, or, without one,
        half of what there is to know is not known; else it is an observation (0.3).

    Example:
        bad: ``nn.LSTM(8, 64)(x)`` with ``x`` of shape (batch, time, 8); ``h.view(batch, -1)``
        good: ``nn.LSTM(8, 64, batch_first=True)(x)``; ``h.transpose(0, 1).reshape(batch, -1)``

    Source:
        The documentation of ``torch.nn.LSTM`` (``batch_first``) and of ``torch.Tensor.view``;
        Karpathy 2019, A Recipe for Training Neural Networks (information across the batch).
    """

    code = "P817"
    name = "crossed-samples"
    signals = ("samples.in_time", "samples.axis")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        severity = 0.9 if _harm.leaves_much(trace, metric, _LEFT) else 0.3
        for where in trace.places("samples.in_time"):
            seen = trace.signal("train", where, "samples.in_time").finite
            if sum(seen.values) < max(_FEWEST_POINTS, _PERSISTS * len(seen)):
                continue
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=severity,
                where=where,
                source=_source(trace, where),
                step=seen.steps[0],
                evidence={"steps": sum(seen.values)},
                message=(
                    f"{where} takes the first axis for time and is given the samples there: it "
                    "goes from one sample of the batch to the next"
                ),
            )
        for line in trace.places("samples.axis"):
            axes = trace.signal("train", line, "samples.axis").finite
            if len(axes) < _FEWEST_POINTS or len(set(axes.values)) > 1:
                continue
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=severity,
                where=_places.root(trace) or line,
                source=line,
                step=axes.steps[0],
                evidence={"axis": axes.values[0], "steps": float(len(axes))},
                message=(
                    f"the reshape at {line} makes rows of a tensor in which the samples lie along "
                    f"axis {axes.values[0]:.0f}: each row has pieces of several samples"
                ),
            )


def _source(trace: Trace, where: str) -> str | None:
    """The line that made a module, or the innermost one around it: copies are made by torch."""
    while where:
        info = trace.modules.get(where)
        if info is not None and info.source is not None:
            return info.source
        where = where.rpartition(".")[0]
    return None
