"""P101: the same weights compute something else in evaluation than in training."""

from __future__ import annotations

import math
from collections.abc import Iterable

from probes import _phases, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_TWOFOLD = math.log(2.0)


class TrainEvalDivergence(Probe):
    """The same weights compute something else in evaluation than in training.

    What it detects:
        A part of the model with running-statistics norms whose output has another spread or
        another mean in evaluation than at nearby training steps.

    Why it harms:
        What was learned is not what is evaluated or shipped: training recovers while the
        validation metric stays where it is, and no change of the loss reaches it.

    Rule:
        At one running-statistics norm at least, and at the output of a part that contains all such
        norms (that where it is worst), the standard deviation over the samples differs by a factor
        of two or more between evaluation and training, or the mean by one training standard
        deviation or more, in the median over the second half of the run. A factor of two is
        severity 0.5, four is 1.
        Parts without such norms are left out: dropout rightly computes something else.

    Example:
        bad: ``nn.BatchNorm1d(32, momentum=0.0001)`` in an encoder whose activations grow
        good: ``nn.InstanceNorm1d(32, affine=True)``

    Source:
        Ioffe 2017, Batch Renormalization, on the mismatch of the two modes; the investigation of a
        context collapse (standard deviation 0.72 in training, 0.11 in validation).
    """

    code = "P101"
    name = "train-eval-divergence"
    signals = ("output.sample_std", "output.std", "output.mean")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        norms = [m.where for m in trace.modules.values() if m.running_statistics]
        diverging = [where for where in norms if self._divergence(trace, where) >= _TWOFOLD]
        if not diverging:
            return
        # Around the norms the harm is where the two phases lie furthest apart.
        part = max(_common_parts(trace, diverging, norms), key=lambda w: self._divergence(trace, w))
        divergence = self._divergence(trace, part)
        severity = min(1.0, 0.5 * divergence / _TWOFOLD)
        train, evaluated = self._spread(trace, part, "train"), self._spread(trace, part, "eval")
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=part,
            source=trace.modules[part].source,
            step=self._onset(trace, part),
            evidence={
                "train_std": train,
                "eval_std": evaluated,
                "diverging_norms": len(diverging),
                "norms": len(norms),
            },
            message=(
                f"the output of {part} has standard deviation {train:.3g} in training and "
                f"{evaluated:.3g} in evaluation, with the same weights; it parts at "
                f"{len(diverging)} of {len(norms)} norms with running statistics"
            ),
        )

    def _divergence(self, trace: Trace, where: str) -> float:
        """The larger of the spread's log ratio and the mean's shift, as logs of a ratio."""
        spread = _phases.persisting(self._ratios(trace, where), trace.steps)
        train_std = _series.second_half(trace.signal("train", where, "output.std"), trace.steps)
        means = _phases.compare(trace, where, "output.mean", lambda e, t: abs(e - t))
        shift = _phases.persisting(means, trace.steps)
        found = 0.0 if spread is None else abs(spread)
        if shift is not None and train_std:
            found = max(found, _TWOFOLD * shift / train_std)
        return found

    def _ratios(self, trace: Trace, where: str) -> list[tuple[int, float]]:
        return _phases.compare(
            trace, where, "output.sample_std", _series.log_ratio
        ) or _phases.compare(trace, where, "output.std", _series.log_ratio)

    def _spread(self, trace: Trace, where: str, phase: str) -> float:
        for name in ("output.sample_std", "output.std"):
            series = trace.signal(phase, where, name)  # type: ignore[arg-type]
            if (value := _series.second_half(series, trace.steps)) is not None:
                return value
        return 0.0

    def _onset(self, trace: Trace, where: str) -> int:
        steps = [step for step, ratio in self._ratios(trace, where) if abs(ratio) >= _TWOFOLD]
        return steps[0] if steps else 0


def _containers(trace: Trace, where: str) -> list[str]:
    """The modules around a module, the innermost first."""
    found = []
    parent = trace.modules[where].parent
    while parent is not None and parent in trace.modules and parent not in found:
        found.append(parent)
        parent = trace.modules[parent].parent
    return found


def _common_parts(trace: Trace, diverging: list[str], norms: list[str]) -> list[str]:
    """The modules around all norms of the model that the first diverging one is in."""
    around = _containers(trace, diverging[0])
    same_model = [c for where in norms if (c := _containers(trace, where))[-1:] == around[-1:]]
    common = [part for part in around if all(part in others for others in same_model)]
    return common or diverging[:1]
