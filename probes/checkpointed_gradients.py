"""P601: activation checkpointing changes the gradients instead of only saving memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_WRONG = 0.1
_VISIBLE = 0.01
_BEYOND_NOISE = 10.0
_LEAST_STEPS = 2
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What holds in every step in which a checkpoint call was looked at."""

    step: int
    difference: float
    noise: float
    lost: float
    reentrant: float


class CheckpointedGradients(Probe):
    """Activation checkpointing changes the gradients instead of only saving memory.

    What it detects:
        A call of ``torch.utils.checkpoint.checkpoint`` through which parameters get other gradients
        than without it, or none. In the first steps each checkpointed segment is run plainly and
        checkpointed, with the same inputs, random state and cotangent, and the gradients at
        everything that it takes from outside are compared: arguments, tensors in dicts and
        closures, parameters.

    Why it harms:
        The reentrant kind takes part in the graph by its tensor arguments alone. Where none of them
        requires a gradient (a frozen embedding before it, say), or where the outputs are in a dict,
        everything inside is cut off, and stays at its initial values without an error. Where the
        function draws other random numbers when it is run again, the gradient belongs to another
        function than the one whose loss was computed.

    Rule:
        In each of the (two or three) steps that were looked at, a parameter that the optimizer
        trains gets a gradient plainly and none through the checkpoint; or the gradients differ by
        10 % of their norm or more, and by ten times the difference between two plain runs. Both
        are wrong whatever the metric does, so that the metric is not asked. Severity rises from
        0.5 to 1 with the difference. A difference of 1 to 10 % is an observation (0.3). Where the
        gradients agree there is no symptom: the checkpoint is harmless.

    Example:
        bad: ``checkpoint(block, frozen(tokens), deltas, use_reentrant=True)``
        good: ``checkpoint(block, frozen(tokens), deltas, use_reentrant=False)``

    Source:
        The notes of ``torch.utils.checkpoint``; Chen et al. 2016, Training Deep Nets with Sublinear
        Memory Cost. Tensors in dicts alone are no harm: as long as some tensor argument requires a
        gradient, they get theirs (measured with torch 2.13).
    """

    code = "P601"
    name = "checkpointed-gradients"
    signals = (
        "checkpoint.difference", "checkpoint.noise", "checkpoint.lost", "checkpoint.lost_share",
        "checkpoint.reentrant",
    )  # fmt: skip

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = []
        for where in trace.places("checkpoint.difference"):
            comparison = _compare(trace, where)
            if comparison is not None and (severity := _severity(comparison)):
                found.append(self._symptom(trace, where, comparison, severity))
        return sorted(found, key=lambda symptom: -symptom.severity)

    def _symptom(
        self, trace: Trace, where: str, comparison: _Comparison, severity: float
    ) -> Symptom:
        module, _, source = where.rpartition("@")
        lost = _lost_parameters(trace, where) if comparison.lost else []
        idle = [name for name in lost if not trace.signal("train", name, "grad.norm")]
        kind = "reentrant checkpoint" if comparison.reentrant else "checkpoint"
        if comparison.lost:
            some = ", ".join(lost[:_MOST_NAMES]) + (", ..." if len(lost) > _MOST_NAMES else "")
            message = (
                f"{len(lost) or comparison.lost:.0f} "
                f"{'parameter gets' if len(lost) == 1 else 'parameters get'} no gradient through "
                f"the {kind} "
                f"but one without it: {some}; {len(idle)} of them have none at all"
            )
        else:
            message = (
                f"gradients through the {kind} differ by {comparison.difference:.0%} from those "
                f"without it (between two runs without it: {comparison.noise:.1g})"
            )
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=module or where,
            source=source if module or where.startswith("@") else None,
            step=comparison.step,
            evidence={
                "difference": comparison.difference,
                "noise": comparison.noise,
                "lost": comparison.lost,
                "without_any_gradient": len(idle),
                "reentrant": comparison.reentrant,
            },
            message=message,
        )


def _compare(trace: Trace, where: str) -> _Comparison | None:
    """The worst segment of each step, and of these what holds in every step."""
    signals = ("difference", "noise", "lost", "reentrant")
    steps: dict[str, dict[int, float]] = {name: {} for name in signals}
    for name, worst in steps.items():
        for step, value in trace.signal("train", where, f"checkpoint.{name}").finite:
            worst[step] = max(value, worst.get(step, 0.0))
    measured = steps["difference"]
    if len(measured) < _LEAST_STEPS or any(set(each) != set(measured) for each in steps.values()):
        return None
    return _Comparison(
        step=min(measured),
        difference=min(measured.values()),
        noise=max(steps["noise"].values()),
        lost=min(steps["lost"].values()),
        reentrant=min(steps["reentrant"].values()),
    )


def _severity(comparison: _Comparison) -> float:
    """0 where the gradients are the same."""
    visible = comparison.difference >= max(_VISIBLE, _BEYOND_NOISE * comparison.noise)
    if comparison.lost > 0 or (visible and comparison.difference >= _WRONG):
        return ALARM + (1 - ALARM) * min(1.0, comparison.difference)
    return 0.3 if visible else 0.0


def _lost_parameters(trace: Trace, where: str) -> list[str]:
    """Names of the parameters without their gradient, the largest first."""
    shares = {
        place.removeprefix(f"{where}|"): trace.signal("train", place, "checkpoint.lost_share")
        for place in trace.places("checkpoint.lost_share")
        if place.startswith(f"{where}|")
    }
    return sorted(shares, key=lambda name: -max(shares[name].values))
