"""R310: training that ends where the held-out metric was best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

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


class StopEarly(Remedy):
    """Training that ends where the held-out metric was best.

    What it does:
        From a step on, takes the gradients away before each step of an optimizer: the script runs
        to its end with the weights that it had then.

    When it helps:
        The model goes on learning its training data by heart after it has learned all that is of
        use for others.

    Parameters:
        ``step``: the last step that counts; tried first is the one with the best report of the
        observed run, and half to twice as many are searched on a log scale.

    In the script:
        Keep the weights of the best evaluation, and stop when it has not improved for a while.

    Source:
        Prechelt 1998, Early Stopping - But When?
    """

    code = "R310"
    name = "stop-early"
    treats = {"P351": 0.6}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"step": Range(1.0, 1e7, default=1000.0, log=True)}

    def space_near(self, action: Action, trace: Trace) -> Space:
        """Half to twice as many steps."""
        step = float(action.params["step"])
        return {"step": Range(max(1.0, step / 2), min(1e7, step * 2), default=step, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """The step with the best report."""
        action = super().default(target)
        best = [s.evidence["best_step"] for s in symptoms if s.evidence.get("best_step", 0) >= 1]
        return action.model_copy(update={"params": {"step": min(best)}}) if best else action

    def apply(self, program: Program, action: Action) -> None:
        """Take the gradients away before each step that comes later: it changes nothing then."""
        last = float(action.params["step"])
        if last < 1:
            raise ValueError(f"{action}: needs at least one step")

        def before(optimizer: Optimizer) -> None:
            if program.step >= last:
                for group in optimizer.param_groups:
                    for parameter in group["params"]:
                        parameter.grad = None
                program.report(action, "", f"no steps any more from step {program.step} on")

        program.around_steps(before)

    def advice(self, action: Action) -> str:
        """When to stop."""
        return (
            f"Stop after about {round(float(action.params['step']))} optimizer steps: keep the "
            f"weights of the best evaluation and stop when it has not improved for a while."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Leave the outermost loop after the round in which the step is made."""
        from remedies.source.rounds import stop_after

        places = {info.stepped for info in source.trace.loops.values()}
        if len(places) != 1:
            raise Unwritable(f"steps are made at {len(places)} lines")
        step = float(action.params["step"])
        stop_after(*source.place(places.pop()), _rounds(source.trace, step))


def _rounds(trace: Trace, step: float) -> int:
    """How many rounds of the loop that reports a metric a step is the last of."""
    for series in trace.metrics.values():
        apart = {later - one for one, later in zip([0, *series.steps], series.steps, strict=False)}
        if len(apart) == 1 and 0 < min(apart) <= step and len(series) > 1:
            return round(step / min(apart))
    raise Unwritable("how many steps a round of the training loop has is not known")
