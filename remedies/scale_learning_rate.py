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


class ScaleLearningRate(Remedy):
    """Another learning rate.

    What it does:
        Multiplies the learning rate of every parameter group by a factor while the optimizer makes
        its step. Schedules and warm-up of the script go on unharmed below it.

    When it helps:
        Training diverges or oscillates (a factor below one), or crawls (above one).

    Parameters:
        ``factor``: from 0.01 to 30, searched on a log scale.

    In the script:
        Multiply the learning rate by the factor.

    Source:
        Smith 2017, Cyclical Learning Rates, on how wide the usable range is.
    """

    code = "R301"
    name = "scale-learning-rate"
    treats = {"P101": 0.15, "P102": 0.15, "P201": 0.15, "P301": 0.7, "P501": 0.3}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(0.01, 30.0, default=6.0, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """A tenth of the rate where it may be too high, six times the rate otherwise."""
        action = super().default(target)
        if any(symptom.code in ("P301", "P501") for symptom in symptoms):
            return action.model_copy(update={"params": {"factor": 0.1}})
        return action

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
