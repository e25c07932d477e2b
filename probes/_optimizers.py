"""How far the steps of an optimizer move the weights, in proportion to the weights."""

from __future__ import annotations

import math
import statistics

from probes import _series
from probes.series import Series
from probes.trace import Trace

USUAL_RATIO = 1e-3
"""Update over weight, per step, of a network that trains well (Karpathy's rule of thumb)."""
HIGH_MOMENTUM = 0.98
"""From here on, more than fifty steps add up."""
LOW_BETA2, HIGH_BETA2 = 0.9, 0.99999
"""Outside, the average of squares forgets within ten steps, or never learns in any usual run."""
LARGE_EPSILON = 1e-2
"""From here on, the epsilon of an Adam outweighs the root mean squares of usual gradients."""
_FEW_ELEMENTS = 8
"""Up to so many numbers make a loss that says more of a sample than of the model."""
_FIRST = 8


def ratios(trace: Trace, where: str) -> dict[str, Series]:
    """Update over weight of each weight matrix of a group, at the probed steps.

    Matrices that begin at zero have no scale of their own yet, and are left out.
    """
    found = {}
    for name in trace.optimizers[where].parameters if where in trace.optimizers else ():
        weights = dict(trace.signal("train", name, "weight.norm").finite)
        updates = trace.signal("train", name, "update.norm").finite
        if not weights or not next(iter(weights.values())):
            continue
        series = Series()
        for step, update in updates:
            if weights.get(step):
                series.append(step, update / weights[step])
        if series.values:
            found[name] = series
    return found


def path(series: Series, steps: int) -> float:
    """Length of the way that a matrix went in a run, in units of its own norm.

    Steps between two probed ones count as much as the earlier of the two. Since all back and forth
    is included, the matrix is at most so far from where it began.
    """
    ends = [*series.steps[1:], max(steps, series.steps[-1] + 1)]
    return sum(
        value * (end - step)
        for step, value, end in zip(series.steps, series.values, ends, strict=True)
    )


def longest_path(trace: Trace, where: str) -> float | None:
    """The longest `path` of any weight matrix of a group; None where nothing is known."""
    found = [path(series, trace.steps) for series in ratios(trace, where).values()]
    return max(found, default=None)


def has_gradients(trace: Trace) -> bool:
    """Whether any weight matrix of any optimizer ever got a gradient that is not zero."""
    matrices = (name for where in groups(trace) for name in ratios(trace, where))
    return any(any(trace.signal("train", name, "grad.norm").values) for name in matrices)


def first_ratio(trace: Trace, where: str) -> float | None:
    """Update over weight of the first step, at the highest learning rate of the run.

    The median over the matrices of a group. The first step is untouched by what too long steps
    make of the weights; a warm-up is counted in by the rates.
    """
    firsts = [series.values[0] for series in ratios(trace, where).values()]
    rates = trace.signal("train", where, "optimizer.lr").finite.values
    if not firsts or not rates or rates[0] <= 0:
        return None
    ratio = statistics.median(firsts) * max(rates) / rates[0]
    if trace.optimizers[where].type == "RMSprop":
        # Its average of squares begins at zero: the first step is longer than those to come.
        ratio *= math.sqrt(max(0.0, 1 - (setting(trace, where, "beta2") or 0.0)))
    return ratio


def groups(trace: Trace) -> list[str]:
    """The parameter groups that made steps, the one with the most matrices first."""
    found = [where for where in trace.optimizers if trace.signal("train", where, "optimizer.lr")]
    return sorted(found, key=lambda where: -len(trace.optimizers[where].parameters))


def source(trace: Trace, where: str) -> str | None:
    """The line that made the optimizer of a group."""
    return trace.optimizers[where].source if where in trace.optimizers else None


def losses(trace: Trace) -> Series:
    """The training loss at the probed steps.

    Of a program that trains one model after another, or changes its loss on the way, that of the
    last part. Empty where a step has several losses, as with adversaries, or one that goes below
    zero, and where a treatment rescales a term of it: what a higher value means is not clear then.
    """
    if any(event["target"] in trace.terms for event in trace.applied):
        return Series()
    series = trace.signal("train", "loss", "loss.value").finite
    several = len(series) > 1.1 * len(set(series.steps))
    kinds = trace.signal("train", "loss", "loss.kind")
    others = [step for step, kind in kinds if kind != kinds.values[-1]]
    if others and not several:
        series = series.since(others[-1] + 1)
    if several or any(value < 0 for value in series.values):
        return Series()
    return series


def steadiness(trace: Trace, where: str) -> float | None:
    """Cosine of successive gradients of a group, the median of the second half of the run."""
    return _series.second_half(trace.signal("train", where, "optimizer.steadiness"), trace.steps)


def first_losses(trace: Trace) -> list[float]:
    """What a run began with: its first loss; the first eight where one is of very few numbers."""
    values = losses(trace).values
    elements = trace.signal("train", "loss", "loss.elements").finite.values
    few = 0 < statistics.median(elements) <= _FEW_ELEMENTS if elements else False
    return values[: _FIRST if few else 1]


def first_loss(trace: Trace) -> float:
    """The median of the `first_losses`; 0 where there is no loss."""
    return statistics.median(first_losses(trace) or [0.0])


def overshoot(trace: Trace) -> float:
    """The highest loss that three probed steps reached or exceeded, in units of the usual one.

    That is the first loss or the median of the run, whichever is higher: single batches differ.
    """
    series = losses(trace)
    if len(series) < 6 or series.values[0] <= 0:
        return 1.0
    usual = max(*first_losses(trace), statistics.median(series.values))
    return sorted(series.values[1:])[-3] / usual


def setting(trace: Trace, where: str, name: str) -> float | None:
    """Median of a setting over the run; None where the optimizer has no such setting."""
    values = trace.signal("train", where, f"optimizer.{name}").finite.values
    return statistics.median(values) if values else None


def clipped_to(trace: Trace) -> tuple[str, float]:
    """The line that clips norms most, and the median of limit over norm there; else 1."""
    best = ("", 1.0)
    for where in trace.places("clip.norm"):
        limits = trace.signal("train", where, "clip.limit").finite.values
        norms = trace.signal("train", where, "clip.norm").finite.values
        shares = [
            min(1.0, limit / norm)
            for limit, norm in zip(limits, norms, strict=False)
            if norm > 0 and math.isfinite(norm)
        ]
        if shares and statistics.median(shares) < best[1]:
            best = where, statistics.median(shares)
    return best


def leap(trace: Trace, where: str) -> float:
    """How far the first step leaps with all that its momentum adds to it; 0 where not known.

    Steps with the momentum m of SGD add up to 1 / (1 - m) times the length of one.
    """
    ratio = first_ratio(trace, where) or 0.0
    is_average = setting(trace, where, "beta2") is not None
    momentum = 0.0 if is_average else setting(trace, where, "momentum") or 0.0
    return ratio / (1 - momentum) if momentum < 1 else ratio


def odd_settings(trace: Trace, where: str) -> dict[str, float]:
    """The momentum, betas and epsilon of a group that are far out of the usual, by name."""
    momentum, beta2 = setting(trace, where, "momentum"), setting(trace, where, "beta2")
    epsilon = setting(trace, where, "eps")
    adam = beta2 is not None and "Adam" in trace.optimizers[where].type
    found = {}
    if momentum is not None and momentum >= HIGH_MOMENTUM:
        found["momentum"] = momentum
    if adam and beta2 is not None and not LOW_BETA2 <= beta2 < HIGH_BETA2:
        found["beta2"] = beta2
    if beta2 is not None and epsilon is not None and epsilon >= LARGE_EPSILON:
        found["eps"] = epsilon
    return found
