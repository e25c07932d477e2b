"""Training that has hardly begun when the run is over, whatever holds it back."""

from __future__ import annotations

from dataclasses import dataclass

from probes import _harm, _knowledge, _optimizers, _series
from probes.objective import Objective
from probes.trace import Trace

HARDLY = 0.1
"""Way of a weight matrix, in units of its own norm, below which it stands still."""
STEADY = 0.1
_NOT_TRIED = 0.01
_FEWEST_STEPS = 20
_TIGHT = 0.1
_USUAL_PATH = 3.0


@dataclass(frozen=True)
class Crawl:
    """A run in which no weight matrix got anywhere.

    Attributes:
        where: The parameter group that went farthest.
        path: Length of its longest way, in units of the matrix's own norm.
        steadiness: Cosine of gradients of different batches, the median of the second half.
        clipped: Line that clips the gradients to a tenth or less; empty where none does.
        share: What clipping leaves of the norm; 1 without.
    """

    where: str
    path: float
    steadiness: float
    clipped: str
    share: float

    @property
    def severity(self) -> float:
        """From 0.5 at a tenth of the norm, or more, to 1 at a thousandth."""
        return min(1.0, 0.5 + 0.25 * max(0.0, -_series.log_ratio(self.path, HARDLY)) / 2.3)

    @property
    def missing(self) -> float:
        """How many times as far a run of so many steps usually goes."""
        return _USUAL_PATH / max(self.path, 1e-9)


def crawl(trace: Trace, metric: Objective | None) -> Crawl | None:
    """The run's crawl; None where some matrix moved, the gradients are noise, or all is well.

    A matrix cannot be farther from where it began than the way it went, all back and forth
    included. Where no matrix of any optimizer went a tenth of its own norm, the model is still the
    one that was drawn at random, or loaded. That is fine where it does well, or where there is
    nothing to be learned: then the gradients of different batches point anywhere. Below a
    hundredth of the norm that is no excuse for a model that predicts no better than a constant:
    whether there is anything to learn was not tried. Where no matrix gets a gradient that is not
    zero, no length of a step would move it, and another fault is to blame.

    Where gradients are clipped to a tenth or less, steps that are as long as the gradients (SGD's)
    would have been ten times as long: there a way shorter than is usual will do.
    """
    places = _optimizers.groups(trace)
    found = {
        place: length
        for place in places
        if (length := _optimizers.longest_path(trace, place)) is not None
    }
    if not found or trace.steps < _FEWEST_STEPS:
        return None
    where = max(found, key=lambda place: found[place])
    if not _optimizers.has_gradients(trace):
        return None
    steady = max(_optimizers.steadiness(trace, place) or 0.0 for place in found)
    line, share = _optimizers.clipped_to(trace)
    clipped = line if share <= _TIGHT else ""
    proportional = "SGD" in trace.optimizers[where].type
    far = _USUAL_PATH if clipped and proportional else HARDLY
    not_tried = found[where] < _NOT_TRIED and _knowledge.knows_nothing(trace)
    if found[where] >= far or (steady < STEADY and not not_tried):
        return None
    if not _harm.got_nowhere(trace, metric):
        return None
    return Crawl(where, found[where], steady, clipped, share)
