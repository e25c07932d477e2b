"""P313: an average of the weights that is evaluated, and has hardly left its beginning."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _averages, _progress, _words
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

BEHIND = 0.5
"""Share of the way of the weights from which on an average has it before it lags."""
_TAKEN_IN = 1.6
"""An average of a straight way that is behind by half of it has taken in so much of the weights."""
_NAMES = {
    "ema", "avg", "average", "averaged", "averages", "swa", "shadow", "teacher", "target",
    "polyak", "smoothed", "slow", "momentum",
}  # fmt: skip
"""Words in the name of a metric that tell of a copy where the trained model is evaluated, too."""


class LaggingAverage(Probe):
    """An average of the weights that is evaluated, and has hardly left its beginning.

    What it detects:
        The metric is that of an exponential moving average of the weights whose decay is too slow
        for the length of the run: 0.9999 in a run of 400 steps.

    Why it harms:
        An average with a decay d reaches back over the last 1 / (1 - d) steps. Where these are more
        than the run has, it consists mostly of the weights that it began with: what is evaluated,
        kept and shipped is a model that was hardly trained, whatever the training achieves.

    Rule:
        A copy of the trained model (same class, names and shapes of the parameters, in no
        optimizer) is evaluated without gradient. At its last evaluation, in the second half of the
        run, it is an alarm where more than half of the way of the weights since their first step
        is still before it: the vector from copy to weights, projected on that way. Noise of the
        weights does not count as a lag: the copy must also have gone towards the weights in small
        steps, which together are less than 1.6 times its distance from them. That is what an
        average has taken in of weights that go straight on when it is behind by a half. Half is
        where more of the copy is beginning than is training; an average over the last tenth of a
        run is behind by less than that, however straight the way. Copies that are frozen, or set to
        the weights in jumps (targets, best states), and lines that call the copy at every step
        (teachers) do not count. The metric must be that of the copy: it is no number of the
        training, and where the trained model is evaluated, too, its name says so (``ema_acc``).
        Averages that are kept as tensors, and put into the trained model for its evaluation, are
        told by what it is evaluated with, and are judged alike; those that are handed to
        ``torch.func.functional_call`` are not seen. Severity rises from 0.5 to 0.9 where the
        average is where it began.

    Example:
        bad: ``AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9999))`` in 400 steps
        good: ``get_ema_multi_avg_fn(0.975)``, an average over a tenth of them

    Source:
        Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; Tarvainen
        and Valpola 2017, Mean teachers are better role models (a lower decay at the beginning, as
        the student improves quickly); Karras et al. 2024, Analyzing and Improving the Training
        Dynamics of Diffusion Models (the length of an average is a share of the run).
    """

    code = "P313"
    name = "lagging-average"
    signals = (
        "average.lag", "average.share", "average.beside", "average.written", "average.swapped",
        "average.pace",
    )  # fmt: skip

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in _averages.averages(trace):
            look = _averages.last_look(trace, where)
            if look is None or look.lag <= BEHIND or 2 * look.step < trace.steps:
                continue
            share = _averages.slowness(trace, where)
            if not share or _averages.taken_in(trace, where) >= _TAKEN_IN:
                continue
            if _is_judged_by(trace, where, metric):
                yield self._symptom(trace, where, look, share)

    def _symptom(self, trace: Trace, where: str, look: _averages.Look, share: float) -> Symptom:
        lines = [*_averages.written(trace, where), look.line]
        return Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.4 * min(1.0, (look.lag - BEHIND) / (1 - BEHIND)),
            where=where,
            source=lines[0] or None,
            step=look.step,
            evidence={
                "lag": look.lag,
                "decay": 1 - share,
                "horizon": 1 / share,
                "steps": float(trace.steps),
            },
            message=(
                f"an average of {where} is evaluated that still has {look.lag:.0%} of the way of "
                f"the weights before it: its decay of {1 - share:.5g} reaches back over "
                f"{1 / share:.0f} updates, and the run has {trace.steps} steps"
            ),
        )


def _is_judged_by(trace: Trace, where: str, metric: Objective | None) -> bool:
    """Whether the metric is that of the average, and leaves something to gain."""
    if metric is None or metric.source == "backward":
        return False
    words = _words.tokens(metric.name)
    other = _averages.has_rival(trace, where) or bool(words & _words.TRAINING)
    if other and not words & _NAMES:
        return False
    return _progress.leaves(trace, metric, _progress.NEARLY)
