"""P706: the units of a layer that are all the same one."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm
from probes._parts import all_parameters
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_QUARTER = 0.25


class SymmetricUnits(Probe):
    """The units of a layer that are all the same one.

    What it detects:
        Weights that were all initialised to one value: the units of a layer compute the same, get
        the same gradient, and stay the same in every step.

    Why it harms:
        However wide the layer is, it has one unit. Training goes on and gets stuck early, without
        any other sign.

    Rule:
        From the first probed step on and for more than a quarter of the run, every row of a weight
        has a twin, the same but for rounding (a thousandth of the largest value), which gets the
        same gradient, and that is not zero. (Not all are the same in a recurrent layer, where each
        gate has its rows. Rounding may part twins in the end.) That is an alarm where such weights
        are a tenth of what is trained and more than a fifth of the metric's range is left to gain;
        severity rises with their share. Else an observation (severity 0.3).

    Example:
        bad: ``nn.init.constant_(layer.weight, 0.01)``
        good: ``nn.init.kaiming_normal_(layer.weight)``

    Source:
        Goodfellow et al. 2016, Deep Learning, section 8.4, on breaking symmetry.
    """

    code = "P706"
    name = "symmetric-units"
    signals = ("alike.elements", "alike.rows", "held.elements")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        sizes = {weight: _elements(trace, weight) for weight in trace.places("alike.elements")}
        found = {weight: size for weight, size in sizes.items() if size}
        if not found:
            return
        share = min(1.0, sum(found.values()) / max(1.0, all_parameters(trace)))
        harmed = _harm.is_held_back(trace, metric, share)
        weight = max(found, key=found.__getitem__)
        rows = trace.signal("train", weight, "alike.rows")
        where = weight.rpartition(".")[0] or weight
        info = trace.modules.get(where)
        others = f", and of {len(found) - 1} more," if len(found) > 1 else ""
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.5 * share if harmed else 0.3,
            where=where,
            source=info.source if info else None,
            step=rows.steps[0],
            evidence={"rows": rows.values[0], "weights": float(len(found)), "share": share},
            message=(
                f"the {rows.values[0]:.0f} rows of {weight}{others} are copies of each other until "
                f"step {rows.steps[-1]} of {trace.steps}: they began with the same values"
            ),
        )


def _elements(trace: Trace, weight: str) -> float:
    """Its size, where its rows have been the same for long; else 0."""
    sizes = trace.signal("train", weight, "alike.elements").finite
    probed = trace.signal("train", weight, "grad.norm").steps
    begins = sizes.steps[:1] <= probed[2:3]  # The first gradients may be nothing but rounding.
    lasts = bool(sizes.steps) and sizes.steps[-1] > _QUARTER * trace.steps
    return sizes.values[0] if begins and lasts else 0.0
