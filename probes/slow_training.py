"""P304: steps so short that the weights are still where they began."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _crawl, _optimizers
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace


class SlowTraining(Probe):
    """Steps so short that the weights are still where they began.

    What it detects:
        A learning rate that is too low by orders of magnitude for the number of steps.

    Why it harms:
        All batches ask for the same change, and it is hardly made: the run ends with the model
        that it began with.

    Rule:
        The way of each weight matrix, all updates of the run added up whatever their direction, is
        shorter than a tenth of the matrix's own norm (a usual run goes one to ten times its norm:
        a thousandth per step). At the same time the gradients of different batches point the same
        way (a cosine of 0.1 or more in the second half: there is something to be learned; below a
        hundredth of the norm, where predictions are no better than a constant, that was not even
        tried), and the metric, or the training loss where no best value of the metric is known,
        got nowhere. A rate that is merely low moves the
        weights farther. Where clipping (P306) or a setting of the optimizer (P307) is what
        shortens the steps, it is left to them; and where the gradients are zero, to what makes them
        so. Severity rises from 0.5 to 1 at a way of a
        thousandth of the norm.

    Example:
        bad: SGD with a learning rate of 1e-5: ``val_acc`` 0.17 in the first epoch and the last
        good: SGD with 0.1

    Source:
        Karpathy 2019, A Recipe for Training Neural Networks (updates of a thousandth of the
        weights); McCandlish et al. 2018, An Empirical Model of Large-Batch Training (signal and
        noise of gradients).
    """

    code = "P304"
    name = "slow-training"
    signals = (
        "grad.norm",
        "update.norm",
        "weight.norm",
        "optimizer.lr",
        "optimizer.steadiness",
        "loss.value",
        "prediction.loss",
        "label.entropy",
        "target.unexplained",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = _crawl.crawl(trace, metric)
        if found is None or found.clipped or _optimizers.odd_settings(trace, found.where):
            return
        rate = _optimizers.setting(trace, found.where, "lr") or 0.0
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=found.severity,
            where=found.where,
            source=_optimizers.source(trace, found.where),
            evidence={
                "path": found.path,
                "missing": found.missing,
                "steadiness": found.steadiness,
                "learning_rate": rate,
            },
            message=(
                f"in {trace.steps} steps at a learning rate of {rate:.2g} no weight matrix moved "
                f"by more than {found.path:.2g} of its norm{_pull(found.steadiness)}"
            ),
        )


def _pull(steadiness: float) -> str:
    if steadiness < _crawl.STEADY:
        return ""
    return f", while all batches pull the same way (cosine {steadiness:.2f})"
