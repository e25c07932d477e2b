"""P305: weight decay outweighs the gradients, and the weights shrink to nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from probes import _harm, _knowledge, _optimizers
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_SHRUNK = 0.5
_OUTWEIGHS = 0.3
_BY_HEART = 1.1


class OverpoweringDecay(Probe):
    """Weight decay outweighs the gradients, and the weights shrink to nothing.

    What it detects:
        A ``weight_decay`` so strong that it, and not the data, decides where the weights go. (Where
        a term of the loss does that, see P309.)

    Why it harms:
        The output of a network whose weights shrink layer by layer soon is the same for every
        input; the gradients shrink with it, and cannot hold against the decay any more.

    Rule:
        The weight matrices of a group end at half of the norm that they began with or less, in
        the median; the decay makes up 30 % or more of what moves them (of decay and gradient, or of
        the update where the decay is decoupled), in the median over the run; and the metric, or the
        training loss where no best value of the metric is known, got nowhere. Severity rises from
        0.5 to 1 as the norms go to 0. It is an observation (0.3) where the model leaves a tenth
        more unknown of held-out samples than of those that it is trained on: what it could learn
        besides, it would learn by heart.

    Example:
        bad: ``SGD(..., lr=0.1, weight_decay=1.0)``: all outputs alike
        good: 1e-4 for SGD, 0.01 to 0.1 for AdamW

    Source:
        Krogh and Hertz 1991, A Simple Weight Decay Can Improve Generalization; Loshchilov and
        Hutter 2019, Decoupled Weight Decay Regularization.
    """

    code = "P305"
    name = "overpowering-decay"
    signals = (
        "optimizer.weight_decay",
        "optimizer.decoupled",
        "optimizer.lr",
        "weight.norm",
        "grad.norm",
        "update.norm",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        if not _harm.got_nowhere(trace, metric):
            return
        held_back = not _knows_better(trace)
        for where in _optimizers.groups(trace):
            decay = _optimizers.setting(trace, where, "weight_decay") or 0.0
            kept, share = _kept(trace, where), _share(trace, where)
            if decay <= 0 or kept is None or kept > _SHRUNK or share < _OUTWEIGHS:
                continue
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.5 * (1 - kept / _SHRUNK) if held_back else 0.3,
                where=where,
                source=_optimizers.source(trace, where),
                evidence={"weight_decay": decay, "norm_kept": kept, "decay_share": share},
                message=(
                    f"with a weight decay of {decay:g} the weight matrices end at {kept:.2g} of "
                    f"their first norm, and {min(1.0, share):.0%} of what moves them is the decay"
                ),
            )


def _knows_better(trace: Trace) -> bool:
    """Whether the model knows the samples that it is trained on better than others."""
    own, other = _knowledge.ignorance(trace), _knowledge.ignorance(trace, "eval")
    return own is not None and other is not None and other > _BY_HEART * own


def _kept(trace: Trace, where: str) -> float | None:
    """Norm of the weight matrices at the end over that at the beginning, the median."""
    found = []
    for name in trace.optimizers[where].parameters:
        norms = trace.signal("train", name, "weight.norm").finite.values
        if norms and norms[0] > 0:
            found.append(norms[-1] / norms[0])
    return statistics.median(found) if found else None


def _share(trace: Trace, where: str) -> float:
    """Share of the decay in what moves the weights, the median over matrices and steps."""
    decays = dict(trace.signal("train", where, "optimizer.weight_decay").finite)
    rates = dict(trace.signal("train", where, "optimizer.lr").finite)
    decoupled = (_optimizers.setting(trace, where, "decoupled") or 0.0) > 0
    found = []
    for name in trace.optimizers[where].parameters:
        gradients = dict(trace.signal("train", name, "grad.norm").finite)
        updates = dict(trace.signal("train", name, "update.norm").finite)
        for step, norm in trace.signal("train", name, "weight.norm").finite:
            if step not in decays:
                continue
            decay = decays[step] * norm
            if decoupled and updates.get(step):
                found.append(rates.get(step, 0.0) * decay / updates[step])
            elif not decoupled and step in gradients and decay + gradients[step] > 0:
                found.append(decay / (decay + gradients[step]))
    return statistics.median(found) if found else 0.0
