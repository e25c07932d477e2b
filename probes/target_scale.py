"""P907: regression targets so far from unit scale that the model is busy reaching their level."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_LARGE = 10.0
_SMALL = 0.02
_WORSE = 1.5
_KNOWS_NOTHING = 0.8
_SHORT = 0.3
_GROWS = 1.2
_NEARLY = 0.1
_LATE = 0.25
_HALF = 0.5


class TargetScale(Probe):
    """Regression targets so far from unit scale that the model is busy reaching their level.

    What it detects:
        Prices, counts, years or volts as they are, in a squared error, L1 or Huber loss, of torch
        or written by hand.

    Why it harms:
        A freshly initialised model says about zero. With steps of a usual size the last layer needs
        thousands of them to come to the mean of such targets, and until then nothing is learned of
        what they differ by; with plain gradient descent the gradient is as large as the
        targets, and overflows. Tiny targets drown in what a fresh model says.

    Rule:
        The root mean square of the targets is above 10, or below 0.02. That alone is an observation
        (0.3). It is an alarm (0.75) where, in the median over the second half of the run, the mean
        squared error is 1.5 times the variance of the targets or more: predicting their mean would
        be far better; or where, for large ones, it is 0.8 times that, and the predictions have less
        than three tenths of the size of the targets and still grow; or where a quarter of the run
        went by before the error was that small for the first time, and half of the variance is not
        explained yet; or where the loss is no longer finite (0.6). A bounded metric within a tenth
        of its best is no alarm.

    Example:
        bad: ``F.mse_loss(model(x), price)`` with prices around 300 000
        good: ``F.mse_loss(model(x), (price - mean) / std)``

    Source:
        LeCun et al. 1998, Efficient BackProp, section 4.5 (choosing target values); Karpathy 2019,
        A Recipe for Training Neural Networks (initialise the final bias right).
    """

    code = "P907"
    name = "target-scale"
    signals = ("target.scale", "target.std", "target.unexplained", "prediction.scale", "loss.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for line in trace.places("target.scale"):
            scale = _series.middle(trace.signal("train", line, "target.scale").finite.values)
            if not scale or _SMALL <= scale <= _LARGE:
                continue
            spread = _series.middle(trace.signal("train", line, "target.std").finite.values)
            evidence = {"scale": scale, "spread": spread or 0.0}
            unknown = _late(trace, line, "target.unexplained")
            if unknown is not None:
                evidence["unexplained"] = unknown
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=_severity(trace, metric, line, scale, unknown),
                where=_term(trace, line),
                source=line if ":" in line else None,
                step=trace.signal("train", line, "target.scale").steps[0],
                evidence=evidence,
                message=(
                    f"the targets at {line} have a root mean square of {scale:.3g} (and vary by "
                    f"{spread or 0.0:.3g}), which a fresh model is far from"
                ),
            )


def _term(trace: Trace, line: str) -> str:
    """The loss term at a line; the only one that there is, where the line is a part of it."""
    found = _places.term_at(trace, line)
    return next(iter(trace.terms)) if found == line and len(trace.terms) == 1 else found


def _severity(
    trace: Trace, metric: Objective | None, line: str, scale: float, unknown: float | None
) -> float:
    left = _progress.left(trace, metric)
    if left is not None and left <= _NEARLY:
        return 0.3
    losses = trace.signal("train", "loss", "loss.value")
    if len(losses) > len(losses.finite) > 0 and scale > _LARGE:
        return ALARM + 0.1
    if unknown is None:
        return 0.3
    short = scale > _LARGE and unknown >= _KNOWS_NOTHING and _falls_short(trace, line, scale)
    late = unknown >= _HALF and _arrives(trace, line) >= _LATE
    return ALARM + 0.25 if unknown >= _WORSE or short or late else 0.3


def _arrives(trace: Trace, line: str) -> float:
    """The share of the run up to which predicting the mean would have been far better."""
    error = trace.signal("train", line, "target.unexplained").finite
    until = next((step for step, value in error if value < _WORSE), trace.steps)
    return until / max(1, trace.steps)


def _falls_short(trace: Trace, line: str, scale: float) -> bool:
    """Whether predictions are far smaller than the targets, and still grow."""
    said = trace.signal("train", line, "prediction.scale")
    before = _series.middle(_series.window(said, trace.steps, 0.25, 0.5))
    last = _series.middle(_series.window(said, trace.steps, 0.75, 1.0))
    if before is None or last is None:
        return False
    return last < _SHORT * scale and last >= _GROWS * before


def _late(trace: Trace, line: str, name: str) -> float | None:
    return _series.second_half(trace.signal("train", line, name), trace.steps)
