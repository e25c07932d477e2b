"""P808: every step is made on the same batch, while the data has more."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _knowledge, _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_REPEATED = 0.95
_SAME_OBJECT = 0.5
_FEWEST_POINTS = 8
_AVAILABLE = 1.5
_LEFT = 0.1
_UNKNOWN = 0.1
_WORSE = 3.0


class RepeatedBatch(Probe):
    """Every step is made on the same batch, while the data has more.

    What it detects:
        ``next(iter(loader))`` in every step of a loader that does not shuffle, an index that is not
        moved on, a generator that is seeded anew for every batch.

    Why it harms:
        The model learns one batch by heart. The training loss goes to zero and says nothing.

    Rule:
        The inputs of all but one in twenty probed steps (eight at least) are those of the probed
        step before, by a fingerprint of every row; they are not the same tensor (who trains on the
        whole data at once hands over the same one); and the batch was taken from something that is
        at least 1.5 times as large: the data set of a loader, or the tensor that it is a part of.
        That alone is an observation (0.3): to learn one batch by heart is a test that people make.
        It is an alarm (0.9) where a bounded metric ends more than a tenth away from its best, or,
        without one, what the loss leaves unknown in evaluation (see `target.unexplained`) is more
        than a tenth and at least three times what it leaves in training.

    Example:
        bad: ``for step in range(1000): x, y = next(iter(loader))`` without ``shuffle=True``
        good: ``for x, y in loader:``

    Source:
        Karpathy 2019, A Recipe for Training Neural Networks (overfit one batch, as a test).
    """

    code = "P808"
    name = "repeated-batch"
    signals = ("batch.repeated", "batch.same_object", "batch.available")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for key in trace.places("batch.repeated"):
            repeated = trace.signal("train", key, "batch.repeated").finite
            if len(repeated) < _FEWEST_POINTS or _mean(repeated.values) < _REPEATED:
                continue
            same = trace.signal("train", key, "batch.same_object").finite.values
            available = _series.middle(trace.signal("train", key, "batch.available").finite.values)
            if not same or _mean(same) > _SAME_OBJECT or (available or 0.0) < _AVAILABLE:
                continue
            loss, made = (*key.split("|"), "")[:2]
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.9 if _harms(trace, metric) else 0.3,
                where=_places.term_at(trace, loss),
                source=(made or loss) if ":" in key else None,
                step=repeated.steps[0],
                evidence={"repeated": _mean(repeated.values), "available": available or 0.0},
                message=(
                    f"every step is made on the same batch (taken at {made or loss}), and what it "
                    f"is taken from has {available:.1f} times as much"
                ),
            )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _harms(trace: Trace, metric: Objective | None) -> bool:
    left = _progress.left(trace, metric)
    if left is not None:
        return left > _LEFT
    learned, evaluated = _knowledge.ignorance(trace), _knowledge.ignorance(trace, "eval")
    if learned is None or evaluated is None:
        return False
    return evaluated >= max(_UNKNOWN, _WORSE * learned)
