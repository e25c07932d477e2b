"""P805: a part that is to stand still, and moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probes import _harm, _optimizers, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_MOST = 3
_FEWEST = 3
_USUALLY = 0.5
_MOVED = 0.05
_SHIFTED = 0.5
_SPREAD = 0.7


@dataclass(frozen=True, slots=True)
class _Finding:
    severity: float
    source: str | None
    moved: float
    why: str


class MovingFrozen(Probe):
    """A part that is to stand still, and moves.

    What it detects:
        A part of a model that the script means to freeze, and that changes all the same.
        ``encoder.requires_grad = False`` on a module (or a misspelt attribute on a parameter) does
        nothing at all. Parameters that ask for no gradient are moved by the weight decay, the
        momentum or an old gradient of the optimizer that still holds them. Batch norms of a part
        that is not trained go on following the batches in training mode.

    Why it harms:
        What was learned before is lost, though the script was to keep it.

    Rule:
        The attribute: an optimizer moves the parameters at each probed step. It is an alarm where
        more than 2 % of the metric's range is left to gain: nobody writes it on purpose.
        Parameters that ask for no gradient: their optimizer moves them at half of the probed steps
        or more, to the last one, and they end 5 % of their norm or more from where they were; their
        gradient never grows, else somebody writes it by hand. It is an alarm in the same case.
        Batch norms: parameters that stay exactly as they are, statistics that came from ten batches
        or more and end half a standard deviation (or a factor of two in variance) from what they
        were. Following the data can also be meant: it is an alarm where the run suffers, or its
        metric fell back. Anything less is an observation (severity 0.3).

    Example:
        bad: ``model.backbone.requires_grad = False; model.train()``
        good: ``model.backbone.requires_grad_(False)``, ``model.train(); model.backbone.eval()``,
        and an optimizer that is given nothing but what is trained

    Source:
        The documentation of ``torch.nn.Module.requires_grad_`` and of autograd on locally disabling
        gradients; Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features.
    """

    code = "P805"
    name = "moving-frozen"
    signals = (
        "frozen.elements", "frozen.asked", "frozen.drift", "frozen.stepped", "frozen.gradient",
        "frozen.decay", "frozen.shift", "frozen.spread", "frozen.misplaced", "frozen.training",
    )  # fmt: skip

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [
            (where, finding)
            for where in trace.places("frozen.elements")
            if _lasts(trace, where) and (finding := _finding(trace, where, metric)) is not None
        ]
        found.sort(key=lambda item: -item[1].severity)
        for where, finding in found[:_MOST]:
            info = trace.modules.get(where)
            first = trace.signal("train", where, "frozen.elements").steps[0]
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=finding.severity,
                where=where,
                source=finding.source or (info.source if info else None),
                step=first,
                evidence={
                    "moved": finding.moved,
                    "decay": _last(trace, where, "decay"),
                    "elements": _last(trace, where, "elements"),
                },
                message=f"{where} is to stand still, and moves: {finding.why}",
            )


def _finding(trace: Trace, where: str, metric: Objective | None) -> _Finding | None:
    left = _progress.leaves(trace, metric, _progress.NEARLY)
    drift = _last(trace, where, "drift")
    steps = trace.signal("train", where, "frozen.stepped").finite.values
    share = sum(step > 0 for step in steps) / len(steps) if len(steps) >= _FEWEST else 0.0
    flag = _line(trace, where, "misplaced")
    if share >= _USUALLY and steps[-1] > 0 and flag is not None:
        severity = ALARM + 0.5 * min(1.0, drift) if left else 0.3
        why = f"the attribute set at {flag} freezes nothing, and the optimizer trains it"
        return _Finding(severity, flag, drift, f"{why} ({drift:.0%} of its norm so far)")
    asked = _last(trace, where, "asked") == 1.0
    if share >= _USUALLY and steps[-1] > 0 and asked and not _is_written(trace, where):
        severity = ALARM + 0.5 * min(1.0, drift) if left and drift >= _MOVED else 0.3
        why = f"its parameters ask for no gradient, and {_mover(trace, where)} of the optimizer "
        why += f"that holds them moved them by {drift:.2g} of their norm"
        return _Finding(severity, _optimizer_line(trace), drift, why)
    return _of_norms(trace, where, metric) if drift == 0 else None


def _of_norms(trace: Trace, where: str, metric: Objective | None) -> _Finding | None:
    shift, spread = _last(trace, where, "shift"), _last(trace, where, "spread")
    if not shift >= _SHIFTED and not spread >= _SPREAD:
        return None
    harmed = _harm.suffers(trace, metric) or _progress.fell_back(trace, metric)
    why = f"it is in training mode, and the running means of its norms moved by {shift:.2g} "
    why += f"standard deviations, their variances by a factor of {2.718 ** min(spread, 50):.2g}"
    severity = ALARM + 0.25 * min(2.0, max(shift / _SHIFTED, spread / _SPREAD) - 1)
    line = _line(trace, where, "training") or None
    return _Finding(severity if harmed else 0.3, line, shift, why)


def _lasts(trace: Trace, where: str) -> bool:
    """Whether it is seen to the end, and often enough."""
    steps = trace.signal("train", where, "frozen.elements").steps
    others = [
        trace.signal("train", w, "held.elements").steps for w in trace.places("held.elements")
    ]
    last = max((own[-1] for own in others if own), default=0)
    return len(set(steps)) >= _FEWEST and steps[-1] >= last


def _is_written(trace: Trace, where: str) -> bool:
    """Whether its gradient grows: then it is no old one, clipped or not."""
    values = trace.signal("train", where, "frozen.gradient").finite.values
    return any(b > 1.001 * a for a, b in zip(values, values[1:], strict=False))


def _mover(trace: Trace, where: str) -> str:
    if (_series.middle(trace.signal("train", where, "frozen.gradient").finite.values) or 0.0) > 0:
        return "an old gradient, never cleared, in the step"
    decay = _last(trace, where, "decay")
    return f"the weight decay ({decay:g})" if decay else "the momentum"


def _optimizer_line(trace: Trace) -> str | None:
    """The line that made the optimizer in use last."""
    loops = [loop.source for loop in trace.loops.values()]
    made = [_optimizers.source(trace, group) for group in _optimizers.groups(trace)]
    return next((line for line in [*reversed(loops), *made] if line), None)


def _last(trace: Trace, where: str, name: str) -> float:
    values = trace.signal("train", where, f"frozen.{name}").finite.values
    return values[-1] if values else 0.0


def _line(trace: Trace, where: str, name: str) -> str | None:
    for place in trace.places(f"frozen.{name}"):
        part, at, line = place.rpartition("@")
        if at and part == where:
            return line
    return None
