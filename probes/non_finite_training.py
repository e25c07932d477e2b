"""P301: training produced NaN or infinity."""

from __future__ import annotations

import math
from collections.abc import Iterable

from probes.base import Probe
from probes.objective import Objective
from probes.series import Series
from probes.symptom import Symptom
from probes.trace import Trace

_EXPLODED = 1e3
_TOUCHY = {
    "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "div", "__truediv__", "true_divide",
    "__rdiv__", "__rtruediv__", "reciprocal", "exp", "pow", "__pow__", "norm", "vector_norm",
    "std", "softmax", "log_softmax", "acos", "asin", "atan2", "where", "cdist",
    "logsumexp", "logit",
}  # fmt: skip
"""Functions that are a cause: others overflow because of what came before."""


class NonFiniteTraining(Probe):
    """Training produced NaN or infinity.

    What it detects:
        A loss, a module's output or a gradient that was NaN or infinite at a probed step and
        stayed so to the end, or a run judged by a metric that ended so.

    Why it harms:
        From the first such step on nothing is learned, and all that was learned is overwritten.

    Rule:
        The last probed value of the loss, of a module's output or of the metric is not finite.
        A run that ended abnormally counts, too, when its last loss was a thousand times the first
        or more: such a script has stopped itself before the loss overflowed in our sight. Where a
        call was seen to make the first of these numbers out of finite ones (the logarithm of
        zero, say, or a gradient at a slope that is infinite), it is named with its line.
        A single non-finite gradient that loss scaling skips is no alarm. The place is the first
        module, in the order of the forward pass, at the earliest step with such an output.

    Example:
        bad: a learning rate of 10 for plain SGD
        good: a tenth of it, or ``torch.nn.utils.clip_grad_norm_``

    Source:
        IEEE 754 arithmetic; no threshold is involved.
    """

    code = "P301"
    name = "non-finite-training"
    signals = ("loss.value", "output.mean", "grad.norm")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        losses = trace.signal("train", "loss", "loss.value")
        curve = metric.series(trace) if metric else losses
        outputs = [trace.signal("train", w, "output.mean") for w in trace.places("output.mean")]
        everything = (losses, curve, *outputs)
        broken = [s for s in everything if s.values and not math.isfinite(s.values[-1])]
        if broken:
            onset = min(next(step for step, v in s if not math.isfinite(v)) for s in broken)
            where, step = self._first_place(trace, onset)
            message = f"not finite from step {step} of {trace.steps} on, first seen at {where}"
        elif _stopped_itself(trace) and _explodes(losses):
            where, step = "loss", losses.steps[-1]
            message = (
                f"the loss rose from {losses.values[0]:.3g} to {losses.values[-1]:.3g} in {step} "
                f"steps, and the script stopped itself"
            )
        else:
            return
        info = trace.modules.get(where)
        source = info.source if info else None
        culprit = trace.non_finite
        if broken and culprit is not None and culprit.operation in _TOUCHY:
            source, step = culprit.source, culprit.step
            term = next((t.where for t in trace.terms.values() if t.source == source), None)
            where = term or where
            what = "result" if culprit.direction == "forward" else "gradient"
            message += f"; the {what} of {culprit.operation} at {source} was the first, at {step}"
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=1.0,
            where=where,
            source=source,
            step=step,
            evidence={"step": step, "steps": trace.steps},
            message=message,
        )

    def _first_place(self, trace: Trace, onset: int) -> tuple[str, int]:
        first = ("loss", onset)
        for where in trace.places("output.mean"):
            for step, value in trace.signal("train", where, "output.mean"):
                if not math.isfinite(value):
                    if step < first[1] or (step == first[1] and first[0] == "loss"):
                        first = (where, step)
                    break
        return first


def _stopped_itself(trace: Trace) -> bool:
    return trace.ending is not None and trace.ending.status in ("raised", "exited")


def _explodes(losses: Series) -> bool:
    values = losses.finite.values
    return len(values) > 1 and values[-1] >= _EXPLODED * abs(values[0]) > 0
