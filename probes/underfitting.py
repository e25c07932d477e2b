"""P352: a model that is held back, on the data that it is trained on as well."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _knowledge, _optimizers, _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_EVEN = 0.5
_DROWNS = 0.75
_NO_WORSE = 1.0
_NOWHERE = 0.1
_MOVED = 0.1
_NO_SKILL = 0.02
"""Labels of which two in five are wrong can be known by 0.03 of their entropy at best."""


class Underfitting(Probe):
    """A model that is held back, on the data that it is trained on as well.

    What it detects:
        Dropout that throws away more than it keeps, in a run whose training loss and held-out
        metric stand still far from their best. (Weight decay that holds a model back is P305, a
        penalty in the loss P309, a rate that is too low P304.) And training that has learned
        nothing at all of the samples that it is trained on, though the weights moved.

    Why it harms:
        The noise that dropout adds to a unit has p / (1 - p) times the variance of its signal.
        Above one half there is more noise than signal in all that follows, and the model is fit
        to be robust to holes instead of to the data.

    Rule:
        A dropout with a share above one half is at work in training, in the median over the run.
        With the noise the model does not know half of what there is to know of the samples that it
        is trained on, in the second half of the run, and of held-out samples, without the noise, it
        knows as much or more: one that has learned chance by heart would know less. It is an alarm
        where the share is three quarters or more, so that the noise has three times the variance of
        the signal, and the metric is stuck with more than a fifth of its range left; the severity
        is the share. Otherwise it is an observation (severity 0.3).

        Without such a dropout, it is an alarm of 0.5 where no loss with targets has predictions
        that fit their own targets better than others of the batch (by a fiftieth of the entropy of
        the labels, or of the variance of the targets, in the second half of the run), the metric
        went less than a tenth of its way, or of its own spread in a program with one optimizer (of
        two adversaries neither may win), and no longer moves, while some weight matrix went a tenth
        of its norm or more. Why, it does not tell; what to look at, it does. A model that learns
        little may be too small, or its task full of chance: without a trial these cannot be told
        apart, and are not reported.

    Example:
        bad: ``nn.Dropout(0.9)`` behind both hidden layers of a small network; texts that were
        sorted by length, their labels not
        good: ``nn.Dropout(0.2)``

    Source:
        Srivastava et al. 2014, Dropout, figure 9 (the effect of the rate); Goodfellow et al. 2016,
        Deep Learning, chapter 5.2, Capacity, Overfitting and Underfitting; Karpathy 2019, A Recipe
        for Training Neural Networks (a few samples must be learned by heart).
    """

    code = "P352"
    name = "underfitting"
    signals = (
        "dropout.share",
        "prediction.loss",
        "prediction.skill",
        "label.entropy",
        "target.unexplained",
        "target.correlation",
        "weight.norm",
        "update.norm",
        "optimizer.lr",
        "loss.value",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        shares = {
            place: _series.middle(trace.signal("train", place, "dropout.share").finite.values)
            for place in trace.places("dropout.share")
        }
        strong = {place: p for place, p in shares.items() if p is not None and p > _EVEN}
        if not strong:
            yield from self._learned_nothing(trace, metric)
            return
        if not _knows_little(trace) or not _left(trace, metric):
            return
        place = max(strong, key=lambda place: strong[place])
        share = strong[place]
        where, _, line = place.partition("@")
        info = trace.modules.get(where)
        stuck = _progress.left(trace, metric) is not None and _harm.learns_little(trace, metric)
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=min(1.0, share) if stuck and share >= _DROWNS else 0.3,
            where=where,
            source=line or (info.source if info else None),
            evidence={
                "share": share,
                "noise": min(share, 0.999) / (1 - min(share, 0.999)),
                "unknown": _knowledge.ignorance(trace) or 0.0,
                "places": float(len(strong)),
            },
            message=(
                f"dropout throws away {share:.0%} at {where}, {len(strong)} such in all, and the "
                "model does not even learn what it is trained on"
            ),
        )

    def _learned_nothing(self, trace: Trace, metric: Objective | None) -> Iterable[Symptom]:
        moved = max(
            (_optimizers.longest_path(trace, g) or 0.0 for g in trace.optimizers), default=0
        )
        known = _knowledge.skill(trace)
        if moved < _MOVED or metric is None or known is None or known[1] >= _NO_SKILL:
            return
        if not _got_nowhere(trace, metric) or not _harm.suffers(trace, metric):
            return
        line, share = known
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM,
            where=_places.term_at(trace, line),
            source=line if ":" in line else None,
            evidence={"skill": share, "path": moved, "steps": float(trace.steps)},
            message=(
                f"nothing was learned in {trace.steps} steps: of what there is to know of the "
                f"targets, the predictions know {max(0.0, share):.1%}, though weights went "
                f"{moved:.2g} times their norm: see whether labels belong to their inputs, whether "
                "the inputs hold the answer, and whether 20 samples can be learned by heart"
            ),
        )


def _got_nowhere(trace: Trace, metric: Objective) -> bool:
    way = _progress.way(trace, metric)
    if way is not None:
        return way[0] < _NOWHERE and way[1] > _progress.FAR
    makers = {info.source for info in trace.optimizers.values()}
    return len(makers) == 1 and _progress.metric_moved(trace, metric, _NOWHERE) is False


def _left(trace: Trace, metric: Objective | None) -> bool:
    return _progress.leaves(trace, metric, _progress.FAR)


def _knows_little(trace: Trace) -> bool:
    """Whether little is known of what it is trained on, and of other samples no less."""
    own = _knowledge.ignorance(trace)
    if own is None or own < _knowledge.LITTLE:
        return False
    other = _knowledge.ignorance(trace, "eval")
    return other is None or other <= _NO_WORSE * own
