"""P905: evaluation is given inputs of another mean or scale than training was."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _knowledge, _phases, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_SHIFT = 0.75
_RATIO = 2.0
_FEWEST_POINTS = 2
_LEFT = 0.1
_WORSE = 2.0
_PERSISTS = 0.9


class PreprocessingMismatch(Probe):
    """Evaluation is given inputs of another mean or scale than training was.

    What it detects:
        Training data that is normalised and validation data that is not, or with other constants;
        a division by 255 in one of the two alone.

    Why it harms:
        The model is asked about inputs that it has never seen the like of: it learns well and looks
        as if it overfitted.

    Rule:
        In nine of ten evaluation passes (two at least), the mean of the inputs of the first layer
        lies more than 0.75 standard deviations of the training inputs from theirs, or the standard
        deviations differ by a factor of two or more. Noise, crops and flips do not get there. That
        alone is an observation (0.3): a test set may be meant to be different. It is an alarm (0.8)
        where training goes well (less than half of what there is to know is left unknown) and
        evaluation does not: a bounded metric ends more than a tenth away from its best, or, with
        another metric, the loss in evaluation knows at most half as much of it.

    Example:
        bad: ``train = (train - mean) / std`` and a validation set left as it is
        good: both by the mean and standard deviation of the training set

    Source:
        Humbatova et al. 2020, Taxonomy of Real Faults in Deep Learning Systems (preprocessing);
        Breck et al. 2019, Data Validation for Machine Learning (training-serving skew).
    """

    code = "P905"
    name = "preprocessing-mismatch"
    signals = ("input.mean", "input.std", "target.unexplained", "prediction.loss", "label.entropy")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for where in trace.places("input.mean"):
            evidence = _difference(trace, where)
            if evidence is None:
                continue
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.8 if _harms(trace, metric) else 0.3,
                where=where,
                source=trace.modules[where].source if where in trace.modules else None,
                step=trace.signal("eval", where, "input.mean").steps[0],
                evidence=evidence,
                message=(
                    f"the inputs of {where} have mean {evidence['train_mean']:.3g} and standard "
                    f"deviation {evidence['train_std']:.3g} in training, "
                    f"{evidence['eval_mean']:.3g} and {evidence['eval_std']:.3g} in evaluation"
                ),
            )


def _difference(trace: Trace, where: str) -> dict[str, float] | None:
    """Means and standard deviations of both phases, where they differ persistently."""
    spread = _series.middle(trace.signal("train", where, "input.std").finite.values)
    if not spread:
        return None
    shifts = _phases.compare(trace, where, "input.mean", lambda one, other: abs(one - other))
    ratios = _phases.compare(
        trace, where, "input.std", lambda one, other: abs(_series.log_ratio(one, other))
    )
    far = [value / spread > _SHIFT for _, value in shifts]
    scaled = [value > abs(_series.log_ratio(_RATIO, 1.0)) for _, value in ratios]
    if len(far) < _FEWEST_POINTS or len(far) != len(scaled):
        return None
    if max(sum(far), sum(scaled)) < _PERSISTS * len(far):
        return None
    found = {
        f"{phase}_{name}": _series.middle(trace.signal(phase, where, f"input.{name}").finite.values)
        for phase in ("train", "eval")
        for name in ("mean", "std")
    }
    return {name: value for name, value in found.items() if value is not None}


def _harms(trace: Trace, metric: Objective | None) -> bool:
    learned, left = _knowledge.ignorance(trace), _progress.left(trace, metric)
    if learned is None or learned >= _knowledge.LITTLE:
        return False
    if left is not None:
        return left > _LEFT
    evaluated = _knowledge.ignorance(trace, "eval")
    return evaluated is not None and evaluated >= max(_knowledge.LITTLE, _WORSE * learned)
