"""Which modules put out positions of uneven scale, and whether a norm comes next."""

from __future__ import annotations

import math
import re
import statistics

from probes import _series
from probes.facts import ModuleInfo
from probes.trace import Trace

UNEVEN = 0.5
"""Share of the positions that carry an output, up to which it is uneven."""
NO_NORM = 0.1
"""Alignment of gradient and output, in units of chance, up to which a norm comes next."""
_CHANNELS_FIRST = re.compile(r"Conv|BatchNorm|InstanceNorm|GroupNorm|Pool")


def ends_without_norm(trace: Trace) -> list[str]:
    """The outermost modules whose output is uneven and meets no norm."""
    children: dict[str | None, list[ModuleInfo]] = {}
    for info in trace.modules.values():
        children.setdefault(info.parent, []).append(info)
    roots = children.get(None, [])
    last = roots[-1].where if roots else ""
    found: list[str] = []

    def visit(info: ModuleInfo, covered: float) -> None:
        """Look at a module, where the positions of what contains it are not evened out later."""
        positions = late(trace, info.where, "scale.positions")
        if positions is not None and positions <= covered:
            return
        if positions is not None and not _is_prediction(trace, info.where, last):
            if unbounded(trace, info.where) and not _channels_first(trace, info.where):
                found.append(info.where)
                return
            covered = max(covered, positions)
        below = children.get(info.where, [])
        stacked = info.type in ("ModuleList", "Sequential")
        final = {child.type: child.where for child in below}
        for child in below:
            if not stacked or final[child.type] == child.where:
                visit(child, covered)

    for root in roots:
        visit(root, 0.0)
    return found


def unbounded(trace: Trace, where: str) -> bool:
    """Whether a module's output is uneven, and no norm comes next."""
    balance = late(trace, where, "scale.balance")
    alignment = late(trace, where, "scale.alignment")
    if balance is None or alignment is None:
        return False
    return 0.0 < balance <= UNEVEN and alignment > NO_NORM


def norm_comes_next(trace: Trace, where: str) -> bool:
    """Whether the loss does not depend on the scale of any position of a module's output."""
    alignment = late(trace, where, "scale.alignment")
    return alignment is not None and alignment <= NO_NORM


def _is_prediction(trace: Trace, where: str, last: str) -> bool:
    """Whether the output of a module is that of the model as a whole, or of its last part."""
    own = trace.signal("train", where, "output.rms")
    return where == last or own.values == trace.signal("train", last, "output.rms").values


def _channels_first(trace: Trace, where: str) -> bool:
    inside = (info for info in trace.modules.values() if info.where.startswith(f"{where}."))
    return any(_CHANNELS_FIRST.search(info.type) for info in inside)


def growth(trace: Trace, where: str) -> tuple[float, float]:
    """How much the output's scale grows from the first layer on, and during training."""
    rms = trace.signal("train", where, "output.rms").finite
    at_start = _series.window(rms, trace.steps, 0.0, 0.2)
    at_end = _series.window(rms, trace.steps, 0.8, 1.0)
    first = late(trace, _first_layer(trace, where), "output.rms")
    whole = late(trace, where, "output.rms")
    if not (at_start and at_end and whole):
        return 1.0, 1.0
    with_depth = math.exp(_series.log_ratio(whole, first)) if first else 1.0
    in_training = _series.log_ratio(statistics.median(at_end), statistics.median(at_start))
    return with_depth, math.exp(in_training)


def _first_layer(trace: Trace, where: str) -> str:
    """The first layer of the stack inside a module; the module itself where there is none."""
    positions = late(trace, where, "scale.positions")
    inside = [info for info in trace.modules.values() if info.where.startswith(f"{where}.")]
    for info in inside:
        alike = [o for o in inside if (o.parent, o.type) == (info.parent, info.type)]
        same = late(trace, info.where, "scale.positions") == positions
        if len(alike) > 1 and same:
            return info.where
    return where


def late(trace: Trace, where: str, name: str) -> float | None:
    """Median of a signal in training over the second half of the run."""
    return _series.second_half(trace.signal("train", where, name), trace.steps)
