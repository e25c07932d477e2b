"""P812: classes are learned by a squared error of probabilities, and hardly learned at all."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _knowledge, _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_PERSISTS = 0.9
_FEWEST_POINTS = 3
_WEAK = 0.1
_HALF = 0.5


class SquaredErrorClasses(Probe):
    """Classes are learned by a squared error of probabilities, and hardly learned at all.

    What it detects:
        The output of a softmax or sigmoid and one-hot (or 0 and 1) labels in a mean squared error,
        an L1 or a Huber loss, of torch or written by hand.

    Why it harms:
        The gradient goes through the slope of the activation, which is next to nothing where the
        model is sure and wrong, and at the start where there are many classes. A cross-entropy
        cancels the slope: its gradient is the error itself.

    Rule:
        In nine of ten probed steps, three at least, the prediction comes out of a softmax or
        sigmoid and all targets are 0 or 1 (one 1 in a row, for a softmax). That alone is an
        observation (0.3): the Brier score is a proper one. It is an alarm (0.8) where, in the
        median over the second half of the run, the gradient at the scores has less than a tenth of
        the norm that a cross-entropy would have at the same predictions (0.5 is usual for two
        classes), and the run is harmed: it got nowhere, or half of what there is to know is not
        known and a bounded metric ends either more than half of its range from its best, or more
        than a fifth and standing still.

    Example:
        bad: ``F.mse_loss(model(x).softmax(1), F.one_hot(y, 20).float())``
        good: ``F.cross_entropy(model(x), y)``

    Source:
        Golik et al. 2013, Cross-Entropy vs. Squared Error Training; Goodfellow et al. 2016, Deep
        Learning, section 6.2.2 (saturation of output units); Humbatova et al. 2020, Taxonomy of
        Real Faults in Deep Learning Systems (wrong loss function).
    """

    code = "P812"
    name = "squared-error-classes"
    signals = ("loss.class_targets", "loss.gradient_kept", "target.unexplained")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for key in trace.places("loss.class_targets"):
            parts = key.split("|")
            series = trace.signal("train", key, "loss.class_targets").finite
            if len(parts) != 4 or len(series) < _FEWEST_POINTS:
                continue
            if sum(series.values) < _PERSISTS * len(series):
                continue
            kept = _series.second_half(
                trace.signal("train", key, "loss.gradient_kept"), trace.steps
            )
            if kept is None:
                continue
            line, _, kind, _ = parts
            harmed = kept < _WEAK and _is_harmed(trace, metric)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.3 if harmed else 0.3,
                where=_places.term_at(trace, line),
                source=line or None,
                step=series.steps[0],
                evidence={"gradient_kept": kept, "steps": float(len(series))},
                message=(
                    f"the labels of classes at {line} are compared with the output of a {kind} by "
                    f"a squared error: {kept:.1%} of the gradient of a cross-entropy are left"
                ),
            )


def _is_harmed(trace: Trace, metric: Objective | None) -> bool:
    if _harm.got_nowhere(trace, metric):
        return True
    unknown = _knowledge.ignorance(trace)
    if unknown is None or unknown < _knowledge.LITTLE:
        return False
    left = _progress.left(trace, metric)
    return left is None or left > _HALF or _progress.is_stuck(trace, metric)
