"""P814: a state that is taken out of the graph in each round of a loop."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _places, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_FEWEST_POINTS = 3


class CutRecurrence(Probe):
    """A state that is taken out of the graph in each round of a loop.

    What it detects:
        The hidden state of a cell, a memory or a belief that is computed from itself, round by
        round, and that ``detach()`` or ``.data`` takes out of the graph in between, within one
        backward pass.

    Why it harms:
        All parameters get gradients, and the loss falls. But no gradient says what the state should
        keep for later rounds: nothing is learned of what came more than one round before.

    Rule:
        In three probed steps, within one backward pass, what a line takes out of the graph was
        computed from what it took out the round before, three rounds or more, by the same
        parameters; no gradient leads to the round before by another way, and most parameters are
        used once in a round. A truncation is no fault where a gradient still sees several
        positions: every k time steps, or between chunks that a recurrent layer or an attention
        reads as a whole. Nor is one between two backward passes. Some programs cut each round on
        purpose: an iterative refinement, a power iteration, a prediction that is fed back. It hurts
        where a task needs what came before, and one that is nearly solved does not. So it is an
        alarm of 0.7 where more than a fifth of the range of the metric is left to gain, or, where
        its best is not known, half of what there is to know of the targets; otherwise an
        observation (severity 0.3). Where labels are noisy, that can be so on purpose, too: a trial
        tells.

    Example:
        bad: ``h = cell(x[t], h.detach())`` in a loop over the time steps
        good: ``h = cell(x[t], h)``, and ``h = h.detach()`` before the loop where a step goes on
        with the state of the one before

    Source:
        Williams and Peng 1990, An Efficient Gradient-Based Algorithm for On-Line Training of
        Recurrent Network Trajectories (how far a truncation must reach); Werbos 1990,
        Backpropagation Through Time.
    """

    code = "P814"
    name = "cut-recurrence"
    signals = ("recurrence.rounds",)

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for place in trace.places("recurrence.rounds"):
            series = trace.signal("train", place, "recurrence.rounds").finite
            rounds = _series.middle(series.values)
            if len(series) < _FEWEST_POINTS or rounds is None:
                continue
            module, _, line = place.rpartition("@")
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.7 if _harm.leaves_much(trace, metric) else 0.3,
                where=module or _places.root(trace) or line,
                source=line,
                step=series.steps[0],
                evidence={"rounds": rounds, "steps": float(len(series))},
                message=(
                    f"{line} takes the state out of the graph in each round of a loop, "
                    f"{rounds:.0f} times on its way through {module or 'the model'}: nothing is "
                    "learned of what came more than one round before"
                ),
            )
