"""P908: a data set that is changed by reading its items."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from probes import _harm, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_CHANGED = 0.05
_FEWEST_POINTS = 3
_LEFT = 0.1


class AlteredData(Probe):
    """A data set that is changed by reading its items.

    What it detects:
        An augmentation or a normalisation in place, in ``__getitem__``, of what is a view of the
        stored tensor: ``image = self.images[i]; image[:, :4] = 0``.

    Why it harms:
        A row of a tensor, or of a numpy array, shares its memory. What was done to an item is still
        there when it is read again, and comes on top: after some epochs little is left of the data.

    Rule:
        A batch that a loader reads in the process of the training, after each sample has been read
        once (what fills a cache is over by then), leaves other rows behind in the tensors, arrays
        and lists of these that have one row for each sample: more than one row in twenty of those
        looked at, on average over three probed steps or more. Severity 0.9 where a bounded metric
        leaves more than a tenth of its range to gain, or, without one, half of what there is to
        know is not known; else it is an observation (0.3).

    Example:
        bad: ``image = self.images[i]`` before an augmentation in place
        good: ``image = self.images[i].clone()``

    Source:
        The documentation of PyTorch on tensor views.
    """

    code = "P908"
    name = "altered-data"
    signals = ("data.changed",)

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for key in trace.places("data.changed"):
            seen = trace.signal("train", key, "data.changed").finite
            if len(seen) < _FEWEST_POINTS or statistics.fmean(seen.values) <= _CHANGED:
                continue
            where, _, line = key.partition("|")
            share = statistics.fmean(seen.values)
            late = _series.second_half(seen, trace.steps)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.9 if _harm.leaves_much(trace, metric, _LEFT) else 0.3,
                where=where,
                source=line,
                step=seen.steps[0],
                evidence={"changed": share, "late": share if late is None else late},
                message=(
                    f"reading a batch changes {share:.0%} of its rows in {where}: what is done to "
                    "an item in place is still there when it is read again"
                ),
            )
