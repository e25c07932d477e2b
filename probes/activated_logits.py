"""P810: a loss that takes raw scores is given probabilities, or the other way round."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _places, _progress
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_PERSISTS = 0.95
_FEWEST_POINTS = 3
_NEARLY_BEST = 0.02
_PLAIN = {
    "cross_entropy": ("softmax", "sigmoid", "probabilities"),
    "binary_cross_entropy_with_logits": ("softmax", "sigmoid", "probabilities"),
    "nll_loss": ("softmax", "sigmoid", "probabilities", "scores"),
    "kl_div": ("softmax", "sigmoid", "probabilities"),
}
_WITH_HARM = {
    "cross_entropy": ("relu", "tanh"),
    "binary_cross_entropy_with_logits": ("relu", "tanh"),
}
_TAKES = {
    "cross_entropy": "raw scores (it has a softmax of its own)",
    "binary_cross_entropy_with_logits": "raw scores (it has a sigmoid of its own)",
    "nll_loss": "logarithms of probabilities (log_softmax)",
    "kl_div": "logarithms of probabilities (log_softmax)",
}


class ActivatedLogits(Probe):
    """A loss that takes raw scores or logarithms is given the output of an activation function.

    What it detects:
        A softmax or sigmoid before ``cross_entropy`` or ``binary_cross_entropy_with_logits``, a
        softmax without logarithm (or nothing at all) before ``nll_loss`` or ``kl_div``; with harm,
        a ReLU or tanh before a loss that takes raw scores.

    Why it harms:
        The function is applied twice. Probabilities as scores lie between 0 and 1: ten classes then
        have at most 0.23 of the probability for the right one, the gradient fades as the model gets
        surer, and the loss never comes near 0. Without the logarithm, the loss is negative and its
        gradient does not grow where the model is wrong.

    Rule:
        The autograd graph leads from the input of the loss through nothing but views to the
        activation (or, where it does not tell, the values are probabilities, or no logarithms) in
        19 of 20 probed steps, three at least. That is a bug that nobody writes on purpose: severity
        0.9, unless a bounded metric is within 0.02 of its best (0.3). ReLU and tanh are an alarm
        (0.6) where a bounded metric ends more than a fifth away from its best value and no longer
        moves, else an observation. A log_softmax before ``cross_entropy`` changes nothing and is
        not reported.

    Example:
        bad: ``F.cross_entropy(model(x).softmax(-1), y)``
        good: ``F.cross_entropy(model(x), y)``

    Source:
        The documentation of ``torch.nn.CrossEntropyLoss``; Humbatova et al. 2020, Taxonomy of Real
        Faults in Deep Learning Systems (wrong activation, wrong loss).
    """

    code = "P810"
    name = "activated-logits"
    signals = ("loss.activated",)

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found: dict[tuple[str, str], Symptom] = {}
        for key in trace.places("loss.activated"):
            parts = key.split("|")
            if len(parts) != 4:
                continue
            line, place, kind, loss = parts
            severity = self._severity(trace, metric, kind, loss)
            if severity and _persists(trace, key):
                symptom = self._symptom(trace, line, place, kind, loss, severity)
                found.setdefault((symptom.where, symptom.source or ""), symptom)
        yield from sorted(found.values(), key=lambda symptom: -symptom.severity)

    def _severity(self, trace: Trace, metric: Objective | None, kind: str, loss: str) -> float:
        if kind in _PLAIN.get(loss, ()):
            left = _progress.left(trace, metric)
            return 0.3 if left is not None and left <= _NEARLY_BEST else 0.9
        if kind in _WITH_HARM.get(loss, ()):
            return ALARM + 0.1 if _progress.is_stuck(trace, metric) else 0.3
        return 0.0

    def _symptom(
        self, trace: Trace, line: str, place: str, kind: str, loss: str, severity: float
    ) -> Symptom:
        module = trace.modules.get(place)
        where = place if module is not None else _places.term_at(trace, line)
        source = module.source if module is not None else place
        key = f"{line}|{place}|{kind}|{loss}"
        given = {"scores": "what are no logarithms", "probabilities": "probabilities"}.get(
            kind, f"the output of {kind}"
        )
        at = "" if kind in ("scores", "probabilities") else f" (at {source or place})"
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=where,
            source=source or line or None,
            step=trace.signal("train", key, "loss.activated").steps[0],
            evidence={"steps": float(len(trace.signal("train", key, "loss.activated")))},
            message=f"{loss} at {line} takes {_TAKES[loss]} and is given {given}{at}",
        )


def _persists(trace: Trace, key: str) -> bool:
    values = trace.signal("train", key, "loss.activated").finite.values
    return len(values) >= _FEWEST_POINTS and sum(values) >= _PERSISTS * len(values)
