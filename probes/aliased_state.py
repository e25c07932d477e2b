"""P815: a state that was kept to come back to, and is no copy."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_AGAIN = 3
_LOST = 0.1
_FEWEST_REPORTS = 3


class AliasedState(Probe):
    """A state that was kept to come back to, and is no copy.

    What it detects:
        ``best = model.state_dict()``: the tensors in it are the model's own, and training goes on
        in them. ``model.load_state_dict(best)`` gives back what is there anyway. The same where new
        values are computed from such a state, as in Reptile: ``start`` and ``end`` are equal.

    Why it harms:
        The weights that the script believes to have kept are lost. The run ends with its last
        weights in the place of its best ones; the step back, or between two states, is never made.

    Rule:
        Since a state was taken, optimizer steps were made that changed the weights of its module;
        it is loaded, and every tensor in it equals the module's own to the last bit. Tensors in the
        same memory are certain: one load is enough. Values computed while such a state is held have
        to change nothing three times, each time it is taken anew. It is an alarm (severity 0.7)
        where the metric had been better before the load than it ends, by a tenth of the range that
        it went through; or where such loads happen three times or more and the metric leaves a
        fifth of its range to gain. Anything less is an observation (severity 0.3).

    Example:
        bad: ``best = model.state_dict()``
        good: ``best = copy.deepcopy(model.state_dict())``

    Source:
        The tutorial of PyTorch on Saving and Loading Models, which warns that ``state_dict()``
        returns references; Prechelt 1998, Early Stopping - But When?; Nichol et al. 2018, On
        First-Order Meta-Learning Algorithms (Reptile).
    """

    code = "P815"
    name = "aliased-state"
    signals = ("state.idle", "state.shared", "state.age")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for place in trace.places("state.idle"):
            series = trace.signal("train", place, "state.idle").finite
            shared = trace.signal("train", place, "state.shared").finite.values
            ages = trace.signal("train", place, "state.age").finite.values
            loads = len(series)
            certain = bool(shared) and min(shared) == 1.0
            if place.count("@") != 2 or not ages or min(series.values, default=0.0) != 1.0:
                continue
            if not certain and loads < _AGAIN:
                continue
            lost = _lost(trace, metric, series.steps[-1])
            again = loads >= _AGAIN and _progress.leaves(trace, metric, _progress.FAR)
            where, taken, loaded = place.split("@")
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.7 if again or lost >= _LOST else 0.3,
                where=where,
                source=taken,
                step=series.steps[0],
                evidence={"loads": float(loads), "age": ages[-1], "lost": lost},
                message=_message(where, taken, loaded, loads, ages[-1]),
            )


def _message(where: str, taken: str, loaded: str, loads: int, age: float) -> str:
    often = ", again and again" if loads >= _AGAIN else ""
    return (
        f"the state of {where} taken at {taken} is no copy: {age:.0f} steps of training went on in "
        f"it, and loading it at {loaded} changed nothing{often}"
    )


def _lost(trace: Trace, metric: Objective | None, load: int) -> float:
    """How much better the metric had been until the load than it ends, as a share of its range."""
    if metric is None or metric.source == "backward":
        return 0.0
    curve = metric.series(trace).finite
    before = [v for step, v in zip(curve.steps, curve.values, strict=True) if step <= load]
    if len(before) < _FEWEST_REPORTS or max(before) == min(before):
        return 0.0
    best = max(before) if metric.mode == "max" else min(before)
    return metric.gain(metric.final(trace), best) / (max(before) - min(before))
