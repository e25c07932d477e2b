"""R302: more epochs."""

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
    from remedies.source.source import Source
    from remedies.surgery import Program


class TrainLonger(Remedy):
    """More epochs.

    What it does:
        Lets the loop that the training runs in make more rounds: the outermost loop over a
        ``range`` of the script in which optimizer steps happen. It counts on from where it ended.

    When it helps:
        Training is unfinished. It is what people try first when a metric does not move, and no cure
        where the loss falls without it: it is offered so that the trials can refute it.

    Parameters:
        ``factor``: how many times as many rounds, from 2 to 4. A trial costs as many runs.
        The learning-rate schedule is the script's; one that cannot go beyond its planned end fails.
        Nothing is changed where the loop is not over a ``range``, as in ``while step < steps``, is
        within another one, or is not in the script itself but in a file that it imports.

    In the script:
        Raise the number of epochs or steps.

    Source:
        The investigation of a contrastive dominance, whose cosine similarity stood still from the
        first epoch to the last; Hoffer et al. 2017, Train longer, generalize better.
    """

    code = "R302"
    name = "train-longer"
    treats = {"P201": 0.05, "P204": 0.05}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(2.0, 4.0, default=2.0)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Put another ``range`` into the script."""
        factor = float(action.params["factor"])
        if factor < 1:
            raise ValueError(f"{action}: the factor must be at least one")
        program.lengthen_training(action, factor)

    def advice(self, action: Action) -> str:
        """How much longer to train."""
        factor = float(action.params["factor"])
        return f"Train for {factor:.3g} times as many epochs (or steps)."

    def rewrite(self, source: Source, action: Action) -> None:
        """Have the outermost loop make more rounds."""
        from remedies.source.rounds import lengthen

        places = {info.stepped for info in source.trace.loops.values()}
        if len(places) != 1:
            raise Unwritable(f"steps are made at {len(places)} lines")
        lengthen(*source.place(places.pop()), float(action.params["factor"]))
