"""P816: data that is sorted by its labels, and batches that come in its order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from probes import _harm, _places, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Phase, Trace

_SORTED = 0.5
_FEWEST_POINTS = 8
_CLASSES = 0.5
_WORSE = 3.0


class SortedBatches(Probe):
    """Data that is sorted by its labels, and batches that come in its order.

    What it detects:
        A loader without ``shuffle=True``, or one slice after another, over data that lies there
        class by class, or from the smallest target to the largest.

    Why it harms:
        A step learns the labels of its own batch and forgets those of the batches before. What the
        model knows at the end is mostly the end of the data.

    Rule:
        The batches come from a loader with a sequential sampler, or are slices that are taken one
        after another; and of the variance of the labels (of their fingerprints, over eight probed
        steps at least) more than half lies between the batches: the intraclass correlation, which
        is 0 for shuffled data and 1 where all labels of a batch are equal. Severity 0.85 where
        this harms: with labels that come again within a batch (classes), where a bounded metric
        leaves more than a fifth of its range to gain, or, without one, half of what there is to
        know is not known in evaluation; with other targets, where besides evaluation misses them by
        at least three times the squared error that training has when it comes to a batch: what was
        learned of other batches is lost. Neighbours in a series of measurements are alike in
        healthy runs, too. Else it is an observation (0.3).

    Example:
        bad: ``DataLoader(dataset, batch_size=32)`` over folders that were read class by class
        good: ``DataLoader(dataset, batch_size=32, shuffle=True)``

    Source:
        Bengio 2012, Practical recommendations for gradient-based training of deep architectures
        (examples in a random order); Bottou 2009, Curiously fast convergence of some stochastic
        gradient descent algorithms; Fisher 1925, Statistical Methods for Research Workers (the
        intraclass correlation).
    """

    code = "P816"
    name = "sorted-batches"
    signals = (
        "order.level",
        "order.spread",
        "order.rows",
        "order.kinds",
        "target.unexplained",
        "target.std",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for key in trace.places("order.level"):
            levels = trace.signal("train", key, "order.level").finite
            spreads = trace.signal("train", key, "order.spread").finite.values
            if len(levels) < _FEWEST_POINTS or len(spreads) < _FEWEST_POINTS:
                continue
            rows = statistics.median(trace.signal("train", key, "order.rows").values)
            kinds = statistics.median(trace.signal("train", key, "order.kinds").values)
            between = _intraclass(levels.values, spreads, rows)
            if between <= _SORTED:
                continue
            loss, _, made = key.partition("|")
            classes = kinds <= _CLASSES * rows
            harms = _harm.leaves_much(trace, metric, phase="eval") and (
                classes or _is_lost(trace, loss)
            )
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.85 if harms else 0.3,
                where=_places.term_at(trace, loss),
                source=made or None,
                step=levels.steps[0],
                evidence={"between_batches": between, "rows": rows, "kinds": kinds},
                message=(
                    f"the batches come in the order of the data, which is sorted: {between:.0%} of "
                    f"the variance of the labels lies between batches, where shuffled ones have "
                    f"none ({kinds:.0f} different labels in a batch of {rows:.0f})"
                ),
            )


def _intraclass(levels: list[float], spreads: list[float], rows: float) -> float:
    """Share of the variance that lies between batches, beyond what chance gives their means."""
    within = statistics.fmean(spreads)
    between = max(0.0, statistics.variance(levels) - within / max(rows, 1.0))
    total = within + between
    return between / total if total > 0 else 0.0


def _is_lost(trace: Trace, loss: str) -> bool:
    """Whether targets are missed by far more in evaluation than where training comes to them."""
    learned = _error(trace, "train", loss)
    places = trace.places("target.unexplained", "eval")
    evaluated = [e for place in places if (e := _error(trace, "eval", place)) is not None]
    return learned is not None and bool(evaluated) and min(evaluated) >= _WORSE * learned


def _error(trace: Trace, phase: Phase, where: str) -> float | None:
    """Mean squared error of a regression in the second half of the run."""
    shares, scales = (
        _series.window(trace.signal(phase, where, name), trace.steps, 0.5, 1.0)
        for name in ("target.unexplained", "target.std")
    )
    errors = [share * scale**2 for share, scale in zip(shares, scales, strict=False)]
    return _series.middle([error for error in errors if math.isfinite(error)])
