"""P308: one parameter group of an optimizer stands still beside the others."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _crawl, _harm, _knowledge, _optimizers
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_RATIO = 1e-3
_STEADY = 0.1
_FEWEST_STEPS = 20


class GroupRateMismatch(Probe):
    """One parameter group of an optimizer stands still beside the others.

    What it detects:
        A learning rate of zero, or orders of magnitude below the others', for some of the
        parameters, which all batches would have moved the same way.

    Why it harms:
        Those parameters stay as they were drawn: the rest of the model has to do with what random
        layers give, or learns for a random head.

    Rule:
        Of the parameter groups that made steps, one has at most a thousandth of the highest rate
        (medians over the run), none of its weight matrices went a tenth of its own norm (all
        updates added up), and the gradients of the group point the same way from look to look (a
        cosine of 0.1 or more in the median of the second half), or nothing is known of what is to
        be predicted: whether the group could tell was not tried. That alone is an observation
        (0.3): a backbone may be held on purpose. It is an alarm (0.7) where a bounded metric is
        stuck far from its best, or where, without one, half of what there is to know is not known.

    Example:
        bad: ``Adam([{"params": body, "lr": 1e-7}, {"params": head}], lr=1e-3)``
        good: rates within a factor of ten to a hundred of each other

    Source:
        Howard and Ruder 2018, Universal Language Model Fine-tuning: rates of neighbouring layers
        that differ by a factor of 2.6, not of thousands.
    """

    code = "P308"
    name = "group-rate-mismatch"
    signals = ("optimizer.lr", "optimizer.steadiness", "update.norm", "weight.norm")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        rates = {
            where: _optimizers.setting(trace, where, "lr") or 0.0
            for where in _optimizers.groups(trace)
        }
        if len(rates) < 2 or trace.steps < _FEWEST_STEPS:
            return
        for where, rate in rates.items():
            # Groups of one optimizer: what two optimizers are for may differ.
            highest = max(r for w, r in rates.items() if _owner(w) == _owner(where))
            path = _optimizers.longest_path(trace, where)
            steady = _optimizers.steadiness(trace, where)
            if path is None or path >= _crawl.HARDLY or steady is None:
                continue
            if steady < _STEADY and not _knowledge.knows_nothing(trace):
                continue
            if highest <= 0 or rate / highest > _RATIO * (1 + 1e-9):
                continue
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.2 if _harm.learns_little(trace, metric) else 0.3,
                where=where,
                source=_optimizers.source(trace, where),
                evidence={
                    "rate": rate,
                    "highest": highest,
                    "ratio": highest / rate if rate else 0.0,
                    "path": path,
                    "steadiness": steady,
                },
                message=(
                    f"the group {where} has a learning rate of {rate:.2g}, others of the same "
                    f"optimizer {highest:.2g}: it moved by {path:.2g} of its norm (its gradients "
                    f"of different batches have a cosine of {steady:.2f})"
                ),
            )


def _owner(where: str) -> str:
    return where.partition("[")[0]
