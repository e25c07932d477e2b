"""R301: another learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program

_LOWEST, _HIGHEST = 1e-4, 1e4
_TOO_HIGH = ("P301", "P302", "P303", "P501", "P603", "P701", "P702")
_GENTLE = 0.01
"""How far a first step may change the weights, as a share of their length."""


class ScaleLearningRate(Remedy):
    """Another learning rate.

    What it does:
        Multiplies the learning rate of every parameter group by a factor while the optimizer makes
        its step. Schedules and warm-up of the script go on unharmed below it.

    When it helps:
        Training diverges or oscillates (a factor below one), or crawls (above one).

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
        "P501": 0.3,
        "P603": 0.3,
        "P701": 0.3,
        "P702": 0.1,
    }
    acts_on = "program"

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
        """The whole program."""
        return [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """What the steps suggest; a tenth of a rate that may be too high, else six times it."""
        found = list(symptoms)
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
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * factor
            program.report(action, "", f"learning rate times {factor:.4g}")

        def after(optimizer: Optimizer) -> None:
            for group, rate in zip(optimizer.param_groups, originals, strict=True):
                group["lr"] = rate

        program.around_steps(before, after)

    def advice(self, action: Action) -> str:
        """By what to multiply the rate."""
        return f"Multiply the learning rate by {float(action.params['factor']):.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply ``lr=`` wherever an optimizer is made."""
        for call in source.optimizers():
            call.scale("lr", float(action.params["factor"]))


def _round(factor: float) -> float:
    """One significant digit: more is not known.

    >>> _round(0.0234), _round(187.0)
    (0.02, 200.0)
    """
    return float(f"{factor:.0e}")
