"""P306: gradients are clipped to a fraction of their norm, and training crawls."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _crawl
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace


class AlwaysClipping(Probe):
    """Gradients are clipped to a fraction of their norm, and training crawls.

    What it detects:
        A clipping threshold so far below the gradients that it is active at every step and sets
        the pace of the training.

    Why it harms:
        Clipping is there for the rare outlier. As a constant brake it is a learning rate that is
        orders of magnitude lower than the one that is written down.

    Rule:
        Clipping leaves a tenth of the norm (or of the largest entry) or less, in the median over
        the probed steps; no weight matrix went three times its own norm in the whole run, as is
        usual; gradients of different batches point the same way; and the metric, or the training
        loss where no best value of the metric is known, got nowhere. Adam does not care how long
        gradients are and is not held back: with it, no matrix went a tenth of its norm.

    Example:
        bad: ``clip_grad_norm_(model.parameters(), 1e-4)`` with gradients of norm 2, for SGD
        good: a threshold near the norms that are usual in the run

    Source:
        Pascanu et al. 2013, On the difficulty of training recurrent neural networks: a threshold
        of half to ten times the average norm.
    """

    code = "P306"
    name = "always-clipping"
    signals = (
        "clip.norm",
        "clip.limit",
        "grad.norm",
        "update.norm",
        "weight.norm",
        "optimizer.steadiness",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = _crawl.crawl(trace, metric)
        if found is None or not found.clipped:
            return
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=found.severity,
            where=found.where,
            source=found.clipped,
            evidence={"kept": found.share, "path": found.path, "steadiness": found.steadiness},
            message=(
                f"clipping leaves {found.share:.2g} of the gradients at every step, and no weight "
                f"matrix moved by more than {found.path:.2g} of its norm in {trace.steps} steps"
            ),
        )
