"""P103: a module ends without a norm, and a few positions outweigh all others in what follows."""

from __future__ import annotations

from collections.abc import Iterable

from probes._progress import metric_moved
from probes._scales import (
    NO_NORM,
    UNEVEN,
    ends_without_norm,
    growth,
    late,
    norm_comes_next,
    unbounded,
)
from probes.base import Probe
from probes.facts import ModuleInfo
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_GROWS = 2.0
_HALF_WAY = 0.5


class UnboundedScale(Probe):
    """A module ends without a norm, and a few positions outweigh all others in what follows.

    What it detects:
        A module with layers of its own whose output grows with depth or during training, at some
        positions (tokens, samples) far more than at others, with no norm at its end and none
        right behind it. A norm further on, after pooling, is told apart: it evens out the
        samples, but not the positions that were pooled.

    Why it harms:
        An average over the positions follows the loudest few of them. What the others know does
        not get through, in the forward pass or in learning.

    Rule:
        In the median over the second half of the run the norms of the positions are so uneven
        that half of them or fewer, all alike, would have the same sum and sum of squares; the
        gradient is not at right angles to them, as it is where a norm of each position comes next
        (the absolute cosine is above a tenth of what chance gives); and the scale is twice that of
        the first of the module's layers, or twice its own in the first fifth of the run. The
        outermost such module counts, the last of a stack, and none that ends in the model's own
        output. That is an observation (severity 0.3), and an alarm when the metric went less
        than half of its way and has more than a fifth of the range still to go. The severity is
        then 1 less the share of positions.
        Networks that have channels before positions are left out.

    Example:
        bad: ``for layer in self.layers: context = layer(context, ...)`` and ``return context``
        good: ``return F.rms_norm(context, context.shape[-1:])``

    Source:
        Xiong et al. 2020, On Layer Normalization in the Transformer Architecture; van Laarhoven
        2017, L2 Regularization versus Batch and Weight Normalization, on the right angle; Sun et
        al. 2024, Massive Activations in Large Language Models; the investigation of a set encoder
        without a final norm.
    """

    code = "P103"
    name = "unbounded-scale"
    signals = (
        "scale.balance",
        "scale.position_balance",
        "scale.positions",
        "scale.alignment",
        "scale.sample_alignment",
        "output.rms",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        harmed = metric is not None and metric_moved(trace, metric, _HALF_WAY) is False
        found = [
            self._symptom(trace, metric, where, harmed)
            for where in ends_without_norm(trace)
            if max(growth(trace, where)) >= _GROWS
        ]
        yield from sorted(found, key=lambda symptom: -symptom.severity)

    def _symptom(self, trace: Trace, metric: Objective | None, where: str, harmed: bool) -> Symptom:
        info = trace.modules[where]
        with_depth, in_training = growth(trace, where)
        evidence = {
            name.replace("scale.", "").replace("output.", ""): value
            for name in self.signals
            if (value := late(trace, where, name)) is not None
        }
        evidence |= {"growth_with_depth": with_depth, "growth_in_training": in_training}
        others = [o for o in trace.modules.values() if o.type == info.type and o.where != where]
        evidence["same_class"] = len(others)
        evidence["same_class_affected"] = sum(unbounded(trace, o.where) for o in others)
        if metric is not None and harmed:
            evidence["metric_end"] = metric.final(trace)
        balance = evidence["balance"]
        uneven = [(s, 1.0 - v) for s, v in trace.signal("train", where, "scale.balance").finite]
        return Symptom(
            code=self.code,
            name=self.name,
            severity=min(1.0, max(UNEVEN, 1.0 - balance)) if harmed else 0.3,
            where=where,
            source=info.source,
            step=next((step for step, value in uneven if value >= UNEVEN), 0),
            evidence=evidence,
            message=_message(trace, info, evidence, others),
        )


def _message(
    trace: Trace, info: ModuleInfo, evidence: dict[str, float], others: list[ModuleInfo]
) -> str:
    grown = [
        f"{evidence[name]:.3g} times {before}"
        for name, before in (
            ("growth_with_depth", "that of its first layer"),
            ("growth_in_training", "its own at the start"),
        )
        if evidence[name] >= _GROWS
    ]
    text = (
        f"{info.where} ends without a norm: its output (rms {evidence['rms']:.3g}, "
        f"{' and '.join(grown)}) is so uneven that {evidence['balance']:.1%} of its positions "
        f"carry it"
    )
    if evidence.get("sample_alignment", 1.0) <= NO_NORM:
        text += "; a norm comes only after the positions of a sample are joined"
    told = ", ".join(f"{other.where} ({_state(trace, other.where)})" for other in others)
    return f"{text}; also a {info.type}: {told}" if told else text


def _state(trace: Trace, where: str) -> str:
    if not trace.signal("train", where, "scale.balance"):
        return "not seen in training"
    if unbounded(trace, where):
        return "affected"
    if norm_comes_next(trace, where):
        return "not affected, a norm comes next"
    return "not affected, its positions are even"
