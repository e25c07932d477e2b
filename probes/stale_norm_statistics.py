"""P102: the running statistics of a norm are not those of the data that passes through it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from probes import _averages, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Phase, Trace

_FOURFOLD = math.log(4.0)


class StaleNormStatistics(Probe):
    """The running statistics of a norm are not those of the data that passes through it.

    What it detects:
        A norm whose running mean and variance, which it uses in evaluation, are far from the mean
        and variance of its batches, in training and in evaluation alike.

    Why it harms:
        In evaluation its output is shifted and scaled by the wrong amount, and all that follows
        works on inputs that it was not trained on.

    Rule:
        In the median over the second half of the run, the batch variance is four times (or a
        quarter of) the running variance or further off, or the means are one running standard
        deviation or more apart; in training and in evaluation both. That is severity 0.5 and
        rises in proportion. An ordinary momentum of 0.1 follows any training within 30 steps, so
        that a healthy norm is off by sampling noise only. A norm of an averaged copy of the model
        (see P313) is evaluated only: there evaluation alone is held against it.

    Example:
        bad: ``for m in norms: m.momentum = 0.1 * 0.5**epoch`` while activations still grow; an
        average of ``model.parameters()`` without ``model.buffers()``
        good: a momentum that stays at 0.1, or a norm without running statistics

    Source:
        Ioffe and Szegedy 2015, Batch Normalization; Wu and Johnson 2021, Rethinking "Batch" in
        BatchNorm.
    """

    code = "P102"
    name = "stale-norm-statistics"
    signals = ("norm.variance_ratio", "norm.mean_shift")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = []
        for where in trace.places("norm.variance_ratio", "eval"):
            phase: Phase = "eval" if _averages.averaged(trace, where) else "train"
            distance = min(
                self._distance(trace, where, phase), self._distance(trace, where, "eval")
            )
            if distance >= 0.5 * _FOURFOLD:
                severity = min(1.0, 0.5 * distance / _FOURFOLD)
                found.append(self._symptom(trace, where, severity, phase))
        return sorted(found, key=lambda symptom: -symptom.severity)

    def _distance(self, trace: Trace, where: str, phase: Phase) -> float:
        """Distance of the statistics as the log of a ratio; one deviation counts as fourfold."""
        ratio = self._middle(trace, where, phase, "norm.variance_ratio")
        shift = self._middle(trace, where, phase, "norm.mean_shift")
        return max(abs(_series.log_ratio(ratio, 1.0)) if ratio > 0 else 0.0, _FOURFOLD * shift)

    def _middle(self, trace: Trace, where: str, phase: Phase, name: str) -> float:
        return _series.second_half(trace.signal(phase, where, name), trace.steps) or 0.0

    def _symptom(self, trace: Trace, where: str, severity: float, phase: Phase) -> Symptom:
        info = trace.modules.get(where)
        ratio = self._middle(trace, where, phase, "norm.variance_ratio")
        shift = self._middle(trace, where, phase, "norm.mean_shift")
        copied = "" if phase == "train" else "; it is of a copy, which needs the buffers, too"
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=where,
            source=info.source if info else None,
            step=_series.first_step(trace.signal(phase, where, "norm.mean_shift"), 1.0),
            evidence={
                "variance_ratio": ratio,
                "mean_shift": shift,
                "eval_variance_ratio": self._middle(trace, where, "eval", "norm.variance_ratio"),
                "eval_mean_shift": self._middle(trace, where, "eval", "norm.mean_shift"),
            },
            message=(
                f"{info.type if info else 'norm'} {where}: batch variance is {ratio:.3g} times the "
                f"running variance, and the means lie {shift:.3g} running standard deviations apart"
                f"{copied}"
            ),
        )
