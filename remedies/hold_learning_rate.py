"""R806: a schedule of the learning rate that goes more slowly, or stands still."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program


class HoldLearningRate(Remedy):
    """A schedule of the learning rate that goes more slowly, or stands still.

    What it does:
        Lends the optimizer another learning rate for each step: the one that the schedule had after
        as many moves as there were epochs, or the highest one so far. The script sees the rates of
        its schedule.

    When it helps:
        A schedule whose numbers are meant for epochs, and that is moved on after every batch, has
        taken the rate to nothing before anything was learned.

    Parameters:
        ``how``: ``slower``, or ``hold`` for the highest rate so far. ``every``: steps for one move
        of the schedule; as many as there are in an epoch at first (steps between two reports).

    In the script:
        ``scheduler.step()`` after the loop over the batches instead of in it.

    Source:
        The documentation of ``torch.optim``, How to adjust learning rate.
    """

    code = "R806"
    name = "hold-learning-rate"
    treats = {"P807": 0.8}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {
            "how": Choice(("slower", "hold")),
            "every": Range(1.0, 1e6, 50.0, log=True, only_with=("how", "slower")),
        }

    def space_for(self, trace: Trace) -> Space:
        """As many steps for one move as there are between two reports of the metrics."""
        space = self.space
        reports = max((len(set(series.steps)) for series in trace.metrics.values()), default=0)
        if trace.steps > 1:
            usual = max(1.0, trace.steps / max(1, reports))
            only = ("how", "slower")
            space["every"] = Range(1.0, float(trace.steps), usual, log=True, only_with=only)
        return space

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Lend another rate to each step."""
        every = float(action.params.get("every", 1.0))
        if action.params["how"] not in ("slower", "hold") or every < 1:
            raise ValueError(f"{action}: a schedule goes slower, by whole steps, or holds")
        scheduled: dict[int, list[list[Any]]] = {}

        def before(optimizer: Optimizer) -> None:
            rates = scheduled.setdefault(id(optimizer), [])
            rates.append([group["lr"] for group in optimizer.param_groups])
            lent = rates[int((len(rates) - 1) / every)]
            if action.params["how"] == "hold":
                lent = [max(column) for column in zip(*rates, strict=False)]
                rates[:] = [rates[-1], lent]
            for group, rate in zip(optimizer.param_groups, lent, strict=False):
                group["lr"] = rate
            program.report(action, "", "learning rate of an earlier step")

        def after(optimizer: Optimizer) -> None:
            own = scheduled[id(optimizer)][0 if action.params["how"] == "hold" else -1]
            for group, rate in zip(optimizer.param_groups, own, strict=False):
                group["lr"] = rate

        program.around_steps(before, after)

    def advice(self, action: Action) -> str:
        """Where to move the schedule."""
        if action.params.get("how") == "hold":
            return "Leave the learning rate as it is: take scheduler.step() out."
        every = float(action.params.get("every", 1.0))
        return f"Call scheduler.step() once in {every:.0f} optimizer steps (after each epoch)."

    def rewrite(self, source: Source, action: Action) -> None:
        """Move ``scheduler.step()`` out of the loop over the batches."""
        epoch = float(self.space_for(source.trace)["every"].default)
        every = float(action.params.get("every", 0.0))
        if action.params["how"] != "slower" or not epoch / 2 <= every <= epoch * 2:
            raise Unwritable("the schedule is not to move on once in an epoch")
        source.move_schedule()
