"""Whether a run suffers: it learned next to nothing, or its metric is stuck far from its best.

A sign such as dead units occurs in healthy runs, too. What makes it a fault is that the run gets
nowhere. Two things tell that: what the model knows of the targets that it is trained on, and the
metric.
"""

from __future__ import annotations

import statistics

from probes import _progress, _series
from probes.objective import Objective
from probes.trace import Trace

_NO_BETTER = 0.9
"""Share of the labels' entropy from which on a cross-entropy says that nothing is known."""
_EXPLAINS_NOTHING = 0.1
"""Share of the targets' variance up to which nothing is explained."""
_FAR_WORSE = 3.0
"""Loss of a model over that of a constant from which on it is far worse."""
_STILL = 0.03
"""Share of the range by which the metric's mean changes from the second to the last third of its
reports, from which on it moves."""
_FEWEST_REPORTS = 4


def suffers(trace: Trace, metric: Objective | None) -> bool:
    """Whether the run is no better than knowing nothing, or stands still far from its best.

    A run that still gets better does not suffer, unless it is far worse than a constant.
    """
    if _worse_than_nothing(trace):
        return True
    if metric is not None and _still_improves(trace, metric):
        return False
    if knows_nothing(trace):
        return True
    return metric is not None and _stuck(trace, metric)


def knows_nothing(trace: Trace) -> bool:
    """Whether the model predicts no better than a constant, in the second half of the run.

    Of several losses with targets, all have to say so.
    """
    found = [*_classification(trace), *_regression(trace)]
    return bool(found) and all(found)


def _worse_than_nothing(trace: Trace) -> bool:
    """Whether predictions are far from all targets: a constant would be much better."""
    losses = [
        (_late(trace, where, "prediction.loss"), _late(trace, where, "label.entropy"))
        for where in trace.places("prediction.loss")
    ]
    shares = [_late(trace, where, "fit.explained") for where in trace.places("fit.explained")]
    far = [loss > _FAR_WORSE * labels for loss, labels in losses if loss and labels]
    far += [share < 1 - _FAR_WORSE for share in shares if share is not None]
    return bool(far) and all(far)


def _late(trace: Trace, where: str, name: str) -> float | None:
    return _series.second_half(trace.signal("train", where, name), trace.steps)


def knows_something(trace: Trace) -> bool:
    """Whether the model is known to predict better than a constant."""
    return not all([*_classification(trace), *_regression(trace)])


def _classification(trace: Trace) -> list[bool]:
    found = []
    for where in trace.places("prediction.loss"):
        loss, labels = _late(trace, where, "prediction.loss"), _late(trace, where, "label.entropy")
        if loss is not None and labels:
            found.append(loss >= _NO_BETTER * labels)
    return found


def _regression(trace: Trace) -> list[bool]:
    shares = [_late(trace, where, "fit.explained") for where in trace.places("fit.explained")]
    return [share <= _EXPLAINS_NOTHING for share in shares if share is not None]


def _still_improves(trace: Trace, metric: Objective) -> bool:
    """Whether the last third of the reports is better than the second, by more than they vary."""
    curve = metric.series(trace).finite.values
    if len(curve) < _FEWEST_REPORTS:
        return False
    third = max(1, len(curve) // 3)
    middle, last = curve[-2 * third : -third], curve[-third:]
    gain = metric.gain(statistics.mean(middle), statistics.mean(last))
    return gain > max(_STILL * _range(curve, metric), 2 * _roughness(curve[-2 * third :]))


def _stuck(trace: Trace, metric: Objective) -> bool:
    curve = metric.series(trace).finite.values
    if len(curve) < _FEWEST_REPORTS:
        return False
    headroom = metric.headroom(curve[0], metric.final(trace))
    if metric.upper_bound is not None and metric.mode == "max":
        return headroom is not None and headroom[1] > _progress.FAR
    # Where a floor may lie anywhere, only a run that never got off the ground is known to be stuck.
    return not knows_something(trace) and _gone(curve, metric) < 0.1


def _gone(curve: list[float], metric: Objective) -> float:
    best = max(curve) if metric.mode == "max" else min(curve)
    return metric.gain(curve[0], best) / max(abs(curve[0]), 1e-12)


def _range(curve: list[float], metric: Objective) -> float:
    if metric.upper_bound == 1.0:
        return 1.0 if max(map(abs, curve)) <= 1.5 else 100.0
    return max(abs(statistics.median(curve)), 1e-12)


def _roughness(curve: list[float]) -> float:
    """Typical change from one report to the next that is not a trend."""
    changes = [b - a for a, b in zip(curve, curve[1:], strict=False)]
    if len(changes) < 2:
        return 0.0
    trend = statistics.mean(changes)
    return statistics.median(abs(change - trend) for change in changes)
