"""P307: a momentum, beta or epsilon far out of the usual, and training that suffers."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _optimizers, _progress
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_EFFECT = {
    "momentum": "adds up {0:.0f} steps",
    "beta2": "averages squared gradients over {0:.0f} steps",
    "eps": "outweighs the root mean squares of the gradients",
}


class MomentumAtOdds(Probe):
    """A momentum, beta or epsilon far out of the usual, and training that suffers.

    What it detects:
        Settings of the optimizer beside the learning rate that make its steps too long, erratic,
        or next to nothing.

    Why it harms:
        A momentum m makes steps 1 / (1 - m) times as long and swings past every valley; Adam with
        a short memory of squares leaps whenever a gradient is larger than the last; with a large
        epsilon it is plain SGD at a tiny rate.

    Rule:
        The momentum (of SGD, or beta1) is 0.98 or more, beta2 of an Adam is below 0.9 or 0.99999
        and more, or epsilon is 0.01 or more beside an average of squares; all rates in the median
        over the run. That alone is an observation (severity 0.3). It is an alarm (0.8) where the
        metric, or the training loss where no best value of the metric is known, got nowhere, or the
        metric lost a quarter of its way again.

    Example:
        bad: ``SGD(..., lr=0.05, momentum=0.999)``; ``Adam(..., eps=1.0)``
        good: ``momentum=0.9``; ``betas=(0.9, 0.999), eps=1e-8``

    Source:
        Sutskever et al. 2013, On the importance of initialization and momentum in deep learning;
        Kingma and Ba 2015, Adam; Reddi et al. 2018, On the Convergence of Adam and Beyond.
    """

    code = "P307"
    name = "momentum-at-odds"
    signals = ("optimizer.momentum", "optimizer.beta2", "optimizer.eps", "optimizer.lr")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        harmed = _harm.got_nowhere(trace, metric) or _progress.fell_back(trace, metric)
        found = [
            symptom
            for where in _optimizers.groups(trace)
            if (symptom := self._look(trace, where, harmed)) is not None
        ]
        yield from found[:1]

    def _look(self, trace: Trace, where: str, harmed: bool) -> Symptom | None:
        odd = _optimizers.odd_settings(trace, where)
        if not odd:
            return None
        told = [
            f"{name} = {value:g} {_EFFECT[name].format(1 / max(1e-9, 1 - value))}"
            for name, value in odd.items()
        ]
        return Symptom(
            code=self.code,
            name=self.name,
            severity=0.8 if harmed else 0.3,
            where=where,
            source=_optimizers.source(trace, where),
            evidence=odd,
            message="; ".join(told) + ("" if harmed else ", and training does well with it"),
        )
