"""R806: a schedule of the learning rate that goes more slowly or faster, or is left out."""

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

_DOWN = ("slower", "hold")
_UP = ("faster", "aim")
_POSITION = "schedule.position"
_EVERY_STEP = 0.5
"""Moves of a schedule for each step from which on it is moved as often as it can be."""


class HoldLearningRate(Remedy):
    """A schedule of the learning rate that goes more slowly or faster, or is left out.

    What it does:
        Lends the optimizer another learning rate for each step: the one that the schedule had after
        as many moves as there were epochs, the highest one so far, or the one that it means to
        reach. The script sees the rates of its schedule. Or moves the schedule on after each step
        of the optimizer, and leaves out the script's own moves.

    When it helps:
        A schedule whose numbers are meant for epochs, and that is moved on after every batch, has
        taken the rate to nothing before anything was learned. One whose numbers are meant for
        batches, and that is moved on after every epoch, never takes the rate up to where it should
        be; nor does a warm-up that is much longer than the run.

    Parameters:
        ``how``: where the rate fell too early, ``slower``, or ``hold`` for the highest rate so far;
        where it never rose, ``faster`` for a move after each step, or ``aim`` for the rate that the
        schedule means to reach from the first step on, which is tried first where the schedule
        already moves with each step. ``every``: steps for one move of the slower schedule; as many
        as there are in an epoch at first (steps between two reports).

    In the script:
        ``scheduler.step()`` after the loop over the batches instead of in it, or in it instead of
        after it. A warm-up that is shorter than the run, or none.

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
            "how": Choice((*_DOWN, *_UP)),
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

    def space_near(self, action: Action, trace: Trace) -> Space:
        """What takes the rate to the same side."""
        if action.params.get("how") in _UP:
            return {"how": Choice(("aim",) if _moves_with_each_step(trace) else _UP)}
        return self.space_for(trace) | {"how": Choice(_DOWN)}

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """Up where the rate never rose, by the moves that lack or else by leaving them all out."""
        action = super().default(target, symptoms)
        paces = [s.evidence["pace"] for s in symptoms if "pace" in s.evidence]
        if not paces:
            return action
        how = "faster" if min(paces) < _EVERY_STEP else "aim"
        return action.model_copy(update={"params": {"how": how}})

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Lend another rate to each step, or move the schedules with it."""
        how, every = action.params["how"], float(action.params.get("every", 1.0))
        if how not in (*_DOWN, *_UP) or every < 1:
            raise ValueError(f"{action}: a schedule goes slower, by whole steps, faster, or not")
        if how in _UP:
            _take_up(program, action)
        else:
            _lend_earlier(program, action, every)

    def advice(self, action: Action) -> str:
        """Where to move the schedule."""
        match action.params.get("how"):
            case "hold":
                return "Leave the learning rate as it is: take scheduler.step() out."
            case "faster":
                return "Call scheduler.step() after each optimizer.step(), and nowhere else."
            case "aim":
                return "Make the warm-up much shorter than the run, or take the schedule out."
        every = float(action.params.get("every", 1.0))
        return f"Call scheduler.step() once in {every:.0f} optimizer steps (after each epoch)."

    def rewrite(self, source: Source, action: Action) -> None:
        """Move ``scheduler.step()`` out of the loop over the batches, or into it."""
        if action.params["how"] == "faster":
            return _move_with_each_step(source)
        epoch = float(self.space_for(source.trace)["every"].default)
        every = float(action.params.get("every", 0.0))
        if action.params["how"] != "slower" or not epoch / 2 <= every <= epoch * 2:
            raise Unwritable("the schedule is not to move on once in an epoch")
        source.move_schedule()


def _lend_earlier(program: Program, action: Action, every: float) -> None:
    """Lend a rate that the schedule had before to each step."""
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


def _moves_with_each_step(trace: Trace) -> bool:
    found = [trace.signal("train", w, _POSITION) for w in trace.places(_POSITION)]
    moves = max((max(series.finite.values, default=0.0) for series in found), default=0.0)
    return moves >= _EVERY_STEP * max(1, trace.steps)


def _move_with_each_step(source: Source) -> None:
    from remedies.source.schedules import move_with_each_step

    places = [place.rpartition("@") for place in source.trace.places(_POSITION)]
    move_with_each_step(source, [(optimizer, line) for optimizer, _, line in places])


def _take_up(program: Program, action: Action) -> None:
    """Move the schedules with each step, or lend each step the rate that they mean to reach."""
    from remedies.surgery.schedules import Schedules

    schedules = Schedules(program)
    own: list[Any] = []

    def move(optimizer: Optimizer) -> None:
        if schedules.move(optimizer):
            program.report(action, "", "schedule moved with each step")

    def lend(optimizer: Optimizer) -> None:
        own[:] = [group["lr"] for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, schedules.aims(optimizer), strict=True):
            if rate != group["lr"]:
                group["lr"] = rate
                program.report(action, "", "learning rate that the schedule means to reach")

    def take_back(optimizer: Optimizer) -> None:
        for group, rate in zip(optimizer.param_groups, own, strict=True):
            group["lr"] = rate

    if action.params["how"] == "faster":
        schedules.hold()
        program.around_steps(lambda _: None, move)
    else:
        program.around_steps(lend, take_back)
