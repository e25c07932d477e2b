"""R301: another learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program

_LOWEST, _HIGHEST = 1e-4, 1e4
_TOO_HIGH = ("P301", "P302", "P303", "P310", "P501", "P603", "P701", "P702")
_GENTLE = 0.01
"""How far a first step may change the weights, as a share of their length."""


class ScaleLearningRate(Remedy):
    """Another learning rate.

    What it does:
        Multiplies the learning rate of every parameter group, or of one, by a factor while the
        optimizer makes its step; where one group has a rate of zero, it gets the highest one of
        the others instead. Schedules and warm-up of the script go on unharmed below it.

    When it helps:
        Training diverges, oscillates or follows noise (a factor below one), or crawls (above one).

    Parameters:
        ``factor``: from 0.0001 to 10000. Tried first is what the length of the observed steps
        suggests, else a tenth or six times the rate; then a tenth or ten times as much again, as
        long as that helps; around what recovers it is searched on a log scale.

    In the script:
        Multiply the learning rate by the factor.

    Source:
        Smith 2017, Cyclical Learning Rates, on how wide the usable range is.
    """

    code = "R301"
    name = "scale-learning-rate"
    treats = {
        "P101": 0.15,
        "P102": 0.15,
        "P201": 0.15,
        "P301": 0.7,
        "P302": 0.8,
        "P303": 0.8,
        "P304": 0.8,
        "P308": 0.9,
        "P310": 0.8,
        "P501": 0.3,
        "P603": 0.3,
        "P701": 0.3,
        "P702": 0.1,
    }
    acts_on = "program, or a parameter group"
    reach = "optimizer"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(_LOWEST, _HIGHEST, default=6.0, log=True)}

    def space_near(self, action: Action, trace: Trace) -> Space:
        """A tenth to ten times the factor."""
        factor = float(action.params["factor"])
        low, high = max(_LOWEST, factor / 10), min(_HIGHEST, factor * 10)
        return {"factor": Range(low, high, default=factor, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The groups that stand still beside others; else the whole program."""
        return [s.where for s in symptoms if s.code == "P308"] or [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """What the steps suggest; a tenth of a rate that may be too high, else six times it."""
        found = list(symptoms)
        if target:
            ratio = max((s.evidence.get("ratio", 0.0) for s in found), default=0.0)
            return self._with(super().default(target), _round(ratio) if ratio else 1.0)
        factor = 6.0
        if any(symptom.code in _TOO_HIGH for symptom in found):
            leap = max((s.evidence.get("leap", 0.0) for s in found), default=0.0)
            factor = min(0.1, _round(_GENTLE / leap)) if leap > 0 else 0.1
        elif missing := max((s.evidence.get("missing", 0.0) for s in found), default=0.0):
            factor = max(10.0, _round(missing))
        return self._with(super().default(target), factor)

    def further(self, action: Action) -> Action | None:
        """A tenth or ten times the factor again."""
        factor = float(action.params["factor"])
        factor = _round(factor * (10 if factor > 1 else 0.1))
        return self._with(action, factor) if _LOWEST <= factor <= _HIGHEST else None

    def _with(self, action: Action, factor: float) -> Action:
        held = min(_HIGHEST, max(_LOWEST, factor))
        return action.model_copy(update={"params": {"factor": held}})

    def apply(self, program: Program, action: Action) -> None:
        """Scale the rate before each step and put it back afterwards."""
        factor = float(action.params["factor"])
        if factor <= 0:
            raise ValueError(f"{action}: the factor must be positive")
        originals: list[Any] = []

        def before(optimizer: Optimizer) -> None:
            originals[:] = [group["lr"] for group in optimizer.param_groups]
            chosen = _chosen(optimizer, action.target)
            for group in chosen:
                group["lr"] = group["lr"] * factor or (max(originals) if action.target else 0.0)
            if chosen:
                program.report(action, action.target, f"learning rate times {factor:.4g}")

        def after(optimizer: Optimizer) -> None:
            for group, rate in zip(optimizer.param_groups, originals, strict=True):
                group["lr"] = rate

        program.around_steps(before, after)

    def advice(self, action: Action) -> str:
        """By what to multiply the rate."""
        factor = float(action.params["factor"])
        if action.target:
            return (
                f"Multiply the learning rate of the parameter group {action.target} by {factor:.3g}"
                ", or, where it is zero, give it that of the others."
            )
        return f"Multiply the learning rate by {factor:.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply ``lr=`` wherever an optimizer is made."""
        if action.target:
            return _scale_group(source, action)
        for call in source.optimizers():
            call.scale("lr", float(action.params["factor"]))


def _scale_group(source: Source, action: Action) -> None:
    from remedies.source.groups import scale_group

    kind, _, number = action.target.rstrip("]").partition("[")
    groups = [where for where in source.trace.optimizers if where.startswith(f"{kind}[")]
    if not number.isdecimal() or len(groups) < 2:
        raise Unwritable("which of the groups in the script it is, is for a person to say")
    source.open_all()
    scale_group(source.files, int(number), len(groups), float(action.params["factor"]))


def _chosen(optimizer: Optimizer, target: str) -> list[dict[str, Any]]:
    """The parameter groups that a target names: ``Adam[1]``, or all of them."""
    kind, _, number = target.rstrip("]").partition("[")
    if not target:
        return optimizer.param_groups
    if kind.partition("#")[0] != type(optimizer).__name__:
        return []
    return [g for n, g in enumerate(optimizer.param_groups) if str(n) == number]


def _round(factor: float) -> float:
    """One significant digit: more is not known.

    >>> _round(0.0234), _round(187.0)
    (0.02, 200.0)
    """
    return float(f"{factor:.0e}")
