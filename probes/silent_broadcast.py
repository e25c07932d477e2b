"""P811: predictions and targets of different shapes, broadcast against each other in the loss."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _places
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_PERSISTS = 0.8
_FEWEST_POINTS = 3


class SilentBroadcast(Probe):
    """Predictions and targets of different shapes, broadcast against each other in the loss.

    What it detects:
        A regression loss, of torch or written by hand, of predictions (N, 1) and targets (N,), or
        the other way round: it compares every prediction with every target. Or log probabilities
        (N,) times advantages (N, 1): every action has every advantage.

    Why it harms:
        The best that a model can do then is to predict the mean of the targets. The loss falls to
        their variance and stays there, without an error.

    Rule:
        In four of five probed steps, three at least, the two have the same sizes but for dimensions
        of size 1, different shapes, and a broadcast shape with more elements than either. In a loss
        of torch that is reduced, that alone is an alarm. A difference or product written by hand
        must lead to the mean or sum that is the loss through element-wise functions alone, with a
        gradient on one side and another number of dimensions: pairwise distances, rankings and
        contrastive losses have it on both sides, reduce one dimension first or spell out both.
        Severity 0.9.

    Example:
        bad: ``((model(x) - y) ** 2).mean()`` with shapes (64, 1) and (64,)
        good: ``((model(x).squeeze(-1) - y) ** 2).mean()``

    Source:
        The warning of ``torch.nn.functional.mse_loss``; Humbatova et al. 2020, Taxonomy of Real
        Faults in Deep Learning Systems (wrong tensor shape).
    """

    code = "P811"
    name = "silent-broadcast"
    signals = ("loss.broadcast", "loss.inflation")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for line in trace.places("loss.broadcast"):
            series = trace.signal("train", line, "loss.broadcast").finite
            if len(series) < _FEWEST_POINTS or sum(series.values) < _PERSISTS * len(series):
                continue
            inflated = trace.signal("train", line, "loss.inflation").finite.values
            if not inflated or max(inflated) <= 1:
                continue
            times = max(inflated)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.9,
                where=_places.term_at(trace, line),
                source=line if ":" in line else None,
                step=series.steps[0],
                evidence={"inflation": times, "steps": float(len(series))},
                message=(
                    f"predictions and targets at {line} have different shapes and are broadcast: "
                    f"the loss pairs every prediction with {times:.0f} targets"
                ),
            )
