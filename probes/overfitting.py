"""P351: the held-out metric got worse and worse while the training loss went on falling."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from probes import _optimizers, _series, _words, train_eval_divergence
from probes.base import Probe
from probes.facts import ModuleInfo
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_FEWEST_REPORTS = 8
_WORSE = 0.15
_LOSS_WORSE = 0.5
_STILL_FELL = 0.5
_LATEST_BEST = 0.7


class Overfitting(Probe):
    """The held-out metric got worse and worse while the training loss went on falling.

    What it detects:
        A model that learns its training data by heart, at the expense of data that it has not seen.

    Why it harms:
        The model that the run ends with is much worse than one that it had on the way.

    Rule:
        The metric that the run is judged by is held out, by its name or because it is to rise and
        is not called one of training, and has eight or more reports. Its best value came before
        70 % of the run; in the last quarter it is worse than that by 15 % of the best value (for
        losses and errors: by half of it), in the median. Since the best the
        training loss fell to half or less, and it is at half of its first value or less: what
        falls from a height is no learning by heart. A held-out loss that rises beside an accuracy
        that stays is no alarm: the model only grows surer of itself. Where the model computes
        something else in evaluation (P101), that is to blame. Severity rises from 0.5 with
        what was lost.

    Example:
        bad: ``val_mse`` 0.4 after 10 epochs and 0.9 after 60, while the training loss goes to 0
        good: the same run stopped after 10 epochs, or with dropout or weight decay

    Source:
        Prechelt 1998, Early Stopping - But When?; Goodfellow et al. 2016, Deep Learning, chapter 7.
    """

    code = "P351"
    name = "overfitting"
    signals = ("loss.value",)

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        if metric is None or not _is_held_out(metric):
            return
        curve = metric.series(trace).finite
        if len(curve) < _FEWEST_REPORTS:
            return
        pick = max if metric.mode == "max" else min
        best = pick(curve.values)
        step = curve.steps[curve.values.index(best)]
        end = statistics.median(curve.values[-max(2, len(curve) // 4) :])
        lost = -metric.gain(best, end) / abs(best) if best else 0.0
        limit = _WORSE if metric.mode == "max" else _LOSS_WORSE
        fell = _fell_since(trace, step)
        if lost < limit or step > _LATEST_BEST * trace.steps or fell is None or fell > _STILL_FELL:
            return
        diverging = train_eval_divergence.TrainEvalDivergence().read(trace, metric)
        if any(symptom.alarming for symptom in diverging):
            return
        root = _root(trace)
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.5 * min(1.0, (lost - limit) / (4 * limit)),
            where=root.where if root else "",
            source=root.source if root else None,
            step=step,
            evidence={"best": best, "best_step": step, "end": end, "loss_kept": fell},
            message=(
                f"{metric.name} was {best:.3g} after {step} of {trace.steps} steps and is "
                f"{end:.3g} at the end, while the training loss fell to {fell:.2g} of what it was"
            ),
        )


def _is_held_out(metric: Objective) -> bool:
    words = _words.tokens(metric.name)
    # A score of the samples that are trained on does not fall while their loss does.
    return bool(words & _words.HELD_OUT) or (metric.mode == "max" and not words & _words.TRAINING)


def _fell_since(trace: Trace, step: int) -> float | None:
    """The training loss of the last quarter over that around a step, medians.

    None where it is not known, or not low: what falls from a height is no learning by heart.
    """
    course = _optimizers.losses(trace)
    then = _series.middle(_series.around(course, step)) if course.values else None
    late = _series.middle(_series.window(course, trace.steps, 0.75, 1.0))
    if not then or late is None or late > _STILL_FELL * course.values[0]:
        return None
    return late / then


def _root(trace: Trace) -> ModuleInfo | None:
    roots = [info for info in trace.modules.values() if info.parent is None]
    return max(roots, key=lambda info: info.parameters, default=None)
