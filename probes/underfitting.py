"""P352: a model that is held back, on the data that it is trained on as well."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _knowledge, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_EVEN = 0.5
_DROWNS = 0.75
_NO_WORSE = 1.0


class Underfitting(Probe):
    """A model that is held back, on the data that it is trained on as well.

    What it detects:
        Dropout that throws away more than it keeps, in a run whose training loss and held-out
        metric stand still far from their best. (Weight decay that holds a model back is P305, a
        penalty in the loss P309, a rate that is too low P304.)

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
        is the share. Otherwise it is an observation (severity 0.3). Too small a model cannot be
        told apart from a task with much chance in it without a trial, and is not reported.

    Example:
        bad: ``nn.Dropout(0.9)`` behind both hidden layers of a small network
        good: ``nn.Dropout(0.2)``

    Source:
        Srivastava et al. 2014, Dropout, figure 9 (the effect of the rate); Goodfellow et al. 2016,
        Deep Learning, chapter 5.2, Capacity, Overfitting and Underfitting.
    """

    code = "P352"
    name = "underfitting"
    signals = ("dropout.share", "prediction.loss", "target.unexplained")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        shares = {
            place: _series.middle(trace.signal("train", place, "dropout.share").finite.values)
            for place in trace.places("dropout.share")
        }
        strong = {place: p for place, p in shares.items() if p is not None and p > _EVEN}
        if not strong or not _knows_little(trace) or not _left(trace, metric):
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


def _left(trace: Trace, metric: Objective | None) -> bool:
    return _progress.leaves(trace, metric, _progress.FAR)


def _knows_little(trace: Trace) -> bool:
    """Whether little is known of what it is trained on, and of other samples no less."""
    own = _knowledge.ignorance(trace)
    if own is None or own < _knowledge.LITTLE:
        return False
    other = _knowledge.ignorance(trace, "eval")
    return other is None or other <= _NO_WORSE * own
