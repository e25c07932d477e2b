"""P802: parameters that the loss depends on, and that no optimizer updates."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress
from probes._parts import Part, parts
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_MOST = 3
_NOTHING = 0.01


class UnoptimisedParameters(Probe):
    """Parameters that the loss depends on, and that no optimizer updates.

    What it detects:
        Parameters that ask for a gradient, get one in the backward pass of the loss, and are in no
        optimizer: a head made after the optimizer, a model made anew, layers in a plain list, only
        ``model.encoder.parameters()``.

    Why it harms:
        They stay at their random initial values, and everything else has to do with what they
        make of it.

    Rule:
        In every probed step, to the last one, a loss depends on them, no optimizer holds them, and
        they do not change by other means. It is an alarm where what the optimizers hold gets no
        gradient at all (1 % of its elements or less); where the parameters are as this run has
        initialised them, neither loaded nor trained before, and more than a fifth of the metric's
        range is left to gain; and where they were loaded, when the metric went less than half of
        its way, too. A backbone that is frozen by leaving it out is an observation (severity 0.3).

    Example:
        bad: ``opt = Adam(model.parameters()); model.head = nn.Linear(64, 10)``
        good: ``model.head = nn.Linear(64, 10); opt = Adam(model.parameters())``

    Source:
        The documentation of ``torch.optim`` on constructing it; Zhang et al. 2018, An Empirical
        Study on TensorFlow Program Bugs, on parameters that are not trained.
    """

    code = "P802"
    name = "unoptimised-parameters"
    signals = (
        "outside.elements", "outside.fresh", "outside.late", "outside.moved", "held.elements",
        "held.reached",
    )  # fmt: skip

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [part for part in parts(trace, "outside") if not part.is_mostly("moved")]
        nothing = _holds_nothing(trace)
        for part in found[:_MOST]:
            fresh = part.is_mostly("fresh")
            harmed = _progress.leaves(trace, metric, _progress.FAR) and (
                fresh or not _progress.went_half_way(trace, metric)
            )
            severity = 1.0 if nothing else 0.3
            if harmed and not nothing:
                severity = ALARM + 0.5 * part.share
            yield self._symptom(trace, part, severity, nothing)

    def _symptom(self, trace: Trace, part: Part, severity: float, nothing: bool) -> Symptom:
        optimizer = next(iter(trace.loops.values()), None)
        made = optimizer.source if optimizer else None
        late = part.is_mostly("late")
        when = "was made after the optimizer and is" if late else "is"
        text = f"{part.where} ({part.elements:.0f} parameters) gets gradients and {when} in no "
        text += f"optimizer{f' (made at {made})' if made else ''}: it stays as it is"
        if nothing:
            text += "; what the optimizer holds gets no gradient at all"
        info = trace.modules.get(part.where)
        unregistered = info is not None and info.parent is None and "." in part.where
        if unregistered:
            text += "; it is held where nn.Module does not look for it (in a list, say)"
        at_module = info is not None and info.source and (late or unregistered or not made)
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=part.where,
            source=info.source if info is not None and at_module else made,
            step=part.step,
            evidence={"elements": part.elements, "share": part.share, "late": float(late)},
            message=text,
        )


def _holds_nothing(trace: Trace) -> bool:
    """Whether no optimizer holds anything that a loss depends on."""
    held = reached = 0.0
    for where in trace.places("held.elements"):
        held += sum(trace.signal("train", where, "held.elements").finite.values)
        reached += sum(trace.signal("train", where, "held.reached").finite.values)
    return held > 0 and reached <= _NOTHING * held
