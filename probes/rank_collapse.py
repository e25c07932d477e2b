"""P703: a representation whose rows have become all the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probes import _harm, _series
from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import Symptom
from probes.trace import Trace

_SAME = 0.01
_DIFFERENT = 0.1
_FELL = 0.1
_ONE_DIRECTION = 1.2
_MANY_DIRECTIONS = 3.0
_WIDE = 8
_PERSISTS = 0.8
_FEWEST_POINTS = 4
_JUDGED = ("prediction.loss", "target.unexplained")


@dataclass(frozen=True, slots=True)
class _Collapse:
    """One place where the rows are all the same, or on one line.

    Attributes:
        where: The place.
        signal: What says so: ``spread.share``, ``spread.positions`` or ``spread.rank``.
        value: Its median over the second half of the run.
        before: The same at the place before it where the rows differ most.
    """

    where: str
    signal: str
    value: float
    before: float


class RankCollapse(Probe):
    """A representation whose rows have become all the same.

    What it detects:
        A module that puts out nearly the same for all samples, or for all positions of a sample,
        although what came in differs: deep stacks of attention or graph layers without skip
        connections (oversmoothing), embeddings that are only drawn together.

    Why it harms:
        What all rows have in common tells nothing. The layers behind have to find the little that
        is left, and in most cases never do; an embedding that is the same for everything has its
        smallest loss and no use.

    Rule:
        In the median over the second half of the run and in four of five of its points, the rows
        of an output (samples or positions; or the positions of one sample) are within 1 % of their
        mean, as root mean squares, while at an earlier place, or in the input, they were more than
        10 % from it; or they went to a tenth of the distance that they began with, in the last
        quarter of the run. Nowhere behind it do they differ again, as they do behind a branch of a
        residual stream. That alone is an observation (severity 0.3). It is an alarm, of severity
        0.6 to 1 with the loss of spread, where the run suffers: its predictions are no better than
        a constant, or its metric stands still with more than a fifth of the way left; unless dead
        or saturated units already tell why. A representation that has become one line
        (participation ratio below 1.2 of 8 features or more, after one above 3) counts as well
        where nothing is predicted: a scalar needs but one direction, a classifier of C classes
        C - 1.
        Named is the outermost of the modules like it that the place is in, the block of a stack.

    Example:
        bad: ``x = attention(norm(x))`` in eight blocks, and chance accuracy
        good: ``x = x + attention(norm(x))``; a bottleneck of width 2; class means at the end

    Source:
        Dong et al. 2021, Attention Is Not All You Need: Pure Attention Loses Rank Doubly
        Exponentially with Depth; Jing et al. 2022, Understanding Dimensional Collapse in
        Contrastive Self-Supervised Learning; Papyan et al. 2020, Prevalence of Neural Collapse.
    """

    code = "P703"
    name = "rank-collapse"
    signals = ("spread.share", "spread.positions", "spread.rank", "spread.width")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = _first(trace)
        if found is None:
            return
        harm = not _harm.units_are_gone(trace) and _harm.suffers(trace, metric)
        lost = min(1.0, max(0.0, 1 - found.value / found.before))
        where = _block(trace, found.where)
        info = trace.modules.get(where)
        rows = "the positions of a sample" if found.signal.endswith("positions") else "the rows"
        told = (
            f"{rows} are within {found.value:.2g} of their mean, as a share of their size"
            if found.signal != "spread.rank"
            else f"{rows} lie on one line (participation ratio {found.value:.3g})"
        )
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=0.6 + 0.4 * lost if harm else 0.3,
            where=where,
            source=info.source if info else None,
            step=_onset(trace, found),
            evidence={found.signal.replace(".", "_"): found.value, "before": found.before},
            message=(
                f"{told} in the output of {found.where}, where they were {found.before:.2g} before"
            ),
        )


def _first(trace: Trace) -> _Collapse | None:
    """The first place of the forward pass at which the rows are all the same, or on one line."""
    rules = [("spread.positions", _SAME, _DIFFERENT), ("spread.share", _SAME, _DIFFERENT)]
    if not any(map(trace.places, _JUDGED)):
        rules.append(("spread.rank", _ONE_DIRECTION, _MANY_DIRECTIONS))
    for signal, low, high in rules:
        before = 0.0
        for where in trace.places(signal):
            series = trace.signal("train", where, signal)
            late = _series.window(series, trace.steps, 0.5, 1.0)
            value = _series.middle(late)
            if value is None or len(late) < _FEWEST_POINTS:
                continue
            if before > high and _is_wide(trace, where, signal):
                if value < low and sum(each < low for each in late) >= _PERSISTS * len(late):
                    found = _Collapse(where, signal, value, before)
                elif signal != "spread.rank" and (end := _fell(series, trace.steps)) is not None:
                    found = _Collapse(where, signal, end, series.finite.values[0])
                else:
                    found = None
                if found is not None and _stays(trace, found, high):
                    return found
            before = max(before, value)
    return None


def _stays(trace: Trace, found: _Collapse, high: float) -> bool:
    """Whether what was lost is lost for good: nowhere behind the place do the rows differ again.

    They do behind a branch of a residual stream, and behind one of several heads.
    """
    places = [w for w in trace.places(found.signal) if _root(w) == _root(found.where)]
    for where in places[places.index(found.where) + 1 :]:
        series = trace.signal("train", where, found.signal)
        end = _series.middle(_series.window(series, trace.steps, 0.75, 1.0))
        if end is not None and end > high:
            return False
    return True


def _root(where: str) -> str:
    return where.partition(":")[0] if ":" in where else ""


def _fell(series: Series, steps: int) -> float | None:
    """The spread at the end of the run, where it went from much to next to nothing."""
    start = series.finite.values[0]
    end = _series.middle(_series.window(series, steps, 0.75, 1.0))
    if end is None or start <= _DIFFERENT or end >= _FELL * min(start, 1.0):
        return None
    return end


def _is_wide(trace: Trace, where: str, signal: str) -> bool:
    widths = trace.signal("train", where, "spread.width").finite.values
    return signal != "spread.rank" or (bool(widths) and widths[-1] >= _WIDE)


def _onset(trace: Trace, found: _Collapse) -> int:
    series = trace.signal("train", found.where, found.signal).finite
    bound = _ONE_DIRECTION if found.signal == "spread.rank" else max(_SAME, 2 * found.value)
    above = [step for step, value in series if value >= bound]
    return next((step for step in series.steps if not above or step > above[-1]), 0)


def _block(trace: Trace, where: str) -> str:
    """The outermost module around a place that has siblings of its own kind; else the place."""
    outermost, path = where, where
    while (info := trace.modules.get(path)) is not None and info.parent is not None:
        siblings = (o for o in trace.modules.values() if o.parent == info.parent)
        if sum(other.type == info.type for other in siblings) > 1:
            outermost = path
        path = info.parent
    return outermost
