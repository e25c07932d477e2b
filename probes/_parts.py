"""Parameters of a kind, gathered to the modules that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field

from probes import _places
from probes.trace import Trace

_FEWEST = 3
_PERSISTS = 0.9
_MOSTLY = 0.9


@dataclass(slots=True)
class Part:
    """A module all of whose parameters have something in common, or a single parameter.

    Attributes:
        where: Its path.
        parameters: The paths of the parameters.
        elements: Their size in all.
        share: That of all parameters that were seen in training.
        step: When it was seen first.
        marks: What else is known of them, as shares of the elements.
    """

    where: str
    parameters: list[str]
    elements: float
    share: float = 1.0
    step: int = 0
    marks: dict[str, float] = field(default_factory=dict)

    def is_mostly(self, mark: str) -> bool:
        """Whether something holds for nearly all of it."""
        return self.marks.get(mark, 0.0) >= _MOSTLY


def parts(trace: Trace, kind: str) -> list[Part]:
    """The largest modules whose trained parameters are all of a kind, the largest first.

    Args:
        trace: The run.
        kind: ``outside``, ``idle`` or ``blocked``; a parameter is of that kind in nearly every
            probed step.
    """
    sizes = {
        where: trace.signal("train", where, f"{kind}.elements").values[-1]
        for where in trace.places(f"{kind}.elements")
        if _persists(trace, where, f"{kind}.elements")
    }
    gathered: dict[str, list[str]] = {}
    for where in sizes:
        gathered.setdefault(_largest(trace, where, sizes), []).append(where)
    steady = all_parameters(trace) + (sum(sizes.values()) if kind == "outside" else 0.0)
    found = [_part(trace, kind, where, own, sizes) for where, own in gathered.items()]
    for part in found:
        part.share = min(1.0, part.elements / max(1.0, steady))
    return sorted(found, key=lambda part: -part.elements)


def _part(trace: Trace, kind: str, where: str, own: list[str], sizes: dict[str, float]) -> Part:
    total = max(1.0, sum(sizes[name] for name in own))
    marks = {}
    for mark in ("fresh", "late", "moved", "frozen", "zeros"):
        held = [
            sizes[name]
            for name in own
            if (values := trace.signal("train", name, f"{kind}.{mark}").finite.values)
            and values[-1]
        ]
        marks[mark] = sum(held) / total
    first = trace.signal("train", own[0], f"{kind}.elements").steps[0]
    return Part(where, own, total, 1.0, first, marks)


def _persists(trace: Trace, where: str, name: str) -> bool:
    steps = trace.signal("train", where, name).finite.steps
    if not steps:
        return False
    probed = {s for w in trace.places("held.elements") for s in _steps(trace, w) if s >= steps[0]}
    return (
        len(set(steps)) >= _FEWEST
        and len(set(steps)) >= _PERSISTS * len(probed)
        and steps[0] <= trace.steps / 2
        and steps[-1] >= max(probed, default=0)
    )


def _steps(trace: Trace, where: str) -> list[int]:
    return trace.signal("train", where, "held.elements").steps


def all_parameters(trace: Trace) -> float:
    """How many numbers the optimizers hold in all."""
    held = [trace.signal("train", w, "held.elements").finite for w in trace.places("held.elements")]
    return sum(series.values[-1] for series in held if series.values)


def _largest(trace: Trace, parameter: str, sizes: dict[str, float]) -> str:
    """The outermost module that has this parameter and none that is not of the kind."""
    best = parameter
    for module in _above(trace, parameter):
        below = sum(size for name, size in sizes.items() if module in _above(trace, name))
        if 0 < trace.modules[module].parameters <= below:
            best = module
    return best


def _above(trace: Trace, parameter: str) -> list[str]:
    """The modules that contain a parameter, the innermost first."""
    module = parameter.rpartition(".")[0] or _places.root(trace)
    found: list[str] = []
    while module is not None and module in trace.modules and module not in found:
        found.append(module)
        module = trace.modules[module].parent
    return found
