"""A place where noise is added, read as a channel; and whether the run suffers."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from probes import _series
from probes.objective import Objective
from probes.trace import Trace

SIGNALS = (
    "noise.ratio",
    "noise.capacity",
    "noise.needed",
    "noise.best",
    "noise.active",
    "noise.dimensions",
    "noise.rate",
    "term.contribution",
    "loss.value",
)
"""What is read here."""

_FIELDS = ("ratio", "capacity", "needed", "best", "active", "dimensions")
_FEWEST = 4
_MOVED = 0.25
_LEFT = 1 / 3
_LEARNED = 1 / 3
_UNUSED = 0.01
_VANISHED = 0.05


@dataclass(frozen=True, slots=True)
class Channel:
    """What noise leaves of the activations at one place, in the median over the second half.

    Attributes:
        where: The place.
        source: Its line.
        ratio: Noise over the spread of the activations, both as root mean square.
        capacity: Bits that can get through at most.
        needed: Bits that tell the samples of one batch apart.
        best: Signal-to-noise ratio (of variances) of the clearest dimension.
        active: Share of dimensions in which the signal is stronger than the noise.
        dimensions: How many there are.
        evaluation: What evaluation does there, as the end of a sentence.
    """

    where: str
    source: str | None
    evaluation: str
    ratio: float
    capacity: float
    needed: float
    best: float
    active: float
    dimensions: float

    @property
    def drowned(self) -> bool:
        """Whether too little gets through to tell samples apart, or nothing rises above noise."""
        return self.best < 1.0 or self.capacity < self.needed

    @property
    def silent(self) -> bool:
        """Whether no dimension carries anything."""
        return self.best < _UNUSED

    @property
    def evidence(self) -> dict[str, float]:
        """The numbers for a symptom."""
        return {
            "noise_ratio": self.ratio,
            "capacity_bits": self.capacity,
            "needed_bits": self.needed,
            "best_signal_to_noise": self.best,
            "active_share": self.active,
            "dimensions": self.dimensions,
        }


def channels(trace: Trace) -> list[Channel]:
    """The places where noise is added in training, the least capacity first."""
    found = []
    for where in trace.places("noise.capacity"):
        windows = {
            name: _series.window(
                trace.signal("train", where, f"noise.{name}"), trace.steps, 0.5, 1.0
            )
            for name in _FIELDS
        }
        if all(len(values) >= _FEWEST for values in windows.values()):
            late = {name: statistics.median(values) for name, values in windows.items()}
            info = trace.noises.get(where)
            source = info.source if info else None
            found.append(Channel(where, source, _evaluation(trace, where), **late))
    return sorted(found, key=lambda channel: channel.capacity)


def _evaluation(trace: Trace, where: str) -> str:
    if trace.signal("eval", where, "noise.ratio"):
        return "; evaluation adds the noise, too"
    seen = any(phase == "eval" for phase, _, _ in trace.signals)
    return "; evaluation does without the noise" if seen else ""


def rate_terms(trace: Trace) -> list[str]:
    """The loss terms that train nothing but what comes before the noise, as a KL term does."""
    return trace.places("noise.rate")


def rate_share(trace: Trace) -> float | None:
    """Share of those terms in the loss, over the second half; None where there are none."""
    parts = {where: abs(_contribution(trace, where)) for where in trace.places("term.contribution")}
    total = sum(parts.values())
    terms = rate_terms(trace)
    return sum(parts.get(where, 0.0) for where in terms) / total if terms and total else None


def vanished(trace: Trace) -> bool:
    """Whether there are such terms, and next to nothing is left of them."""
    share = rate_share(trace)
    return share is not None and share < _VANISHED


def suffers(trace: Trace, metric: Objective | None) -> bool:
    """Whether the metric stands still far from its best, and the task was hardly learned.

    The metric alone does not tell: the loss of a healthy run may be flat, too, having reached what
    can be reached before it was first reported. So the loss (without the terms that do not concern
    the task) must have stayed near that of the untrained model.
    """
    curve = metric.series(trace).finite.values if metric else []
    if metric is None or len(curve) < _FEWEST:
        return False
    start, end = curve[0], metric.final(trace)
    headroom = metric.headroom(start, end)
    if headroom is None:
        stuck = metric.gain(start, end) < _MOVED * max(abs(start), max(curve) - min(curve))
    else:
        stuck = headroom[0] < _MOVED and headroom[1] > _LEFT
    return stuck and _learned(trace) < _LEARNED


def told(trace: Trace, metric: Objective | None) -> tuple[dict[str, float], str]:
    """From where to where the metric went: as evidence, and as the end of a sentence."""
    if metric is None:
        return {}, ""
    start, end = metric.series(trace).finite.values[0], metric.final(trace)
    text = f"; {metric.name} went from {start:.3g} to {end:.3g}"
    return {"metric_start": start, "metric_end": end}, text


def _learned(trace: Trace) -> float:
    """By which share the loss of the task fell since the first steps."""
    rate = rate_terms(trace)
    task = [where for where in trace.places("term.contribution") if where not in rate]
    first = sum(_first(trace, where, "term.contribution") for where in task)
    last = sum(_contribution(trace, where) for where in task)
    if not task:
        first = _first(trace, "loss", "loss.value")
        last = _series.second_half(trace.signal("train", "loss", "loss.value"), trace.steps) or 0.0
    return (first - last) / abs(first) if first else 0.0


def _first(trace: Trace, where: str, name: str) -> float:
    values = trace.signal("train", where, name).finite.values[:3]
    return statistics.fmean(values) if values else 0.0


def _contribution(trace: Trace, where: str) -> float:
    series = trace.signal("train", where, "term.contribution")
    return _series.second_half(series, trace.steps) or 0.0
