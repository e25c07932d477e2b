"""P817: what is computed for a sample is made of others of its batch."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _places, _progress
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
        bidirectional GRU; a softmax within the model that runs along the samples.

    Why it harms:
        The layer goes from sample to sample as if they were moments, the reshape puts pieces of
        several samples into one row, and in the softmax samples compete with each other. Labels are
        compared with what is known of others, without an error; the size of a batch matters.

    Rule:
        The first axis of a loss's labels tells how many samples there are. In four of five probed
        steps, three at least: the first of the three axes of what such a layer is given is
        as long as that, and the second one is neither one nor as long as any axis of the labels,
        which could be those of the moments of each sample; or a reshape of something with
        gradient makes that many rows of a tensor in which exactly one axis is as long, which is not
        the first, and those before it have more than one element; or a softmax within a module,
        of a tensor of which the first axis alone is as long, runs along that. Nobody means that:
        severity 0.9 where a bounded metric leaves more than a tenth of its range to gain, or,
        without one, half of what there is to know is not known, or a softmax is wrong and an error
        has more than a fifth of its beginning left; else it is an observation (0.3).

    Example:
        bad: ``nn.LSTM(8, 64)(x)`` with ``x`` of shape (batch, time, 8); ``h.view(batch, -1)``
        good: ``nn.LSTM(8, 64, batch_first=True)(x)``; ``h.transpose(0, 1).reshape(batch, -1)``

    Source:
        The documentation of ``torch.nn.LSTM`` (``batch_first``) and of ``torch.Tensor.view``;
        Karpathy 2019, A Recipe for Training Neural Networks (information across the batch).
    """

    code = "P817"
    name = "crossed-samples"
    signals = ("samples.in_time", "samples.axis", "samples.compete")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        much = _harm.leaves_much(trace, metric, _LEFT)
        far = metric is not None and _progress.leaves(trace, metric, _progress.FAR)
        for name, text in _TOLD.items():
            for where in trace.places(name):
                seen = trace.signal("train", where, name).finite
                if not _persists(name, seen.values):
                    continue
                at_module = where in trace.modules
                numbers = {"axis": seen.values[0]} if name == "samples.axis" else {}
                yield Symptom(
                    code=self.code,
                    name=self.name,
                    severity=0.9 if much or (far and name == "samples.compete") else 0.3,
                    where=where if at_module else _places.root(trace) or where,
                    source=_source(trace, where) if at_module else where,
                    step=seen.steps[0],
                    evidence={"steps": float(sum(map(bool, seen.values))), **numbers},
                    message=text.format(where=where, **numbers),
                )


_TOLD = {
    "samples.in_time": (
        "{where} takes the first axis for time and is given the samples there: it goes from one "
        "sample of the batch to the next"
    ),
    "samples.axis": (
        "the reshape at {where} makes rows of a tensor in which the samples lie along axis "
        "{axis:.0f}: each row has pieces of several samples"
    ),
    "samples.compete": (
        "the softmax at {where} runs along the samples of the batch: what one of them gets depends "
        "on all the others"
    ),
}


def _persists(name: str, values: list[float]) -> bool:
    if name == "samples.axis":
        return len(values) >= _FEWEST_POINTS and len(set(values)) == 1
    return sum(values) >= max(_FEWEST_POINTS, _PERSISTS * len(values))


def _source(trace: Trace, where: str) -> str | None:
    """The line that made a module, or the innermost one around it: copies are made by torch."""
    while where:
        info = trace.modules.get(where)
        if info is not None and info.source is not None:
            return info.source
        where = where.rpartition(".")[0]
    return None
