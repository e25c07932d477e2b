"""P604: parameters whose gradient is exactly zero in every step."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm
from probes._parts import Part, parts
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace


class BlockedGradients(Probe):
    """Parameters whose gradient is exactly zero in every step.

    What it detects:
        Parameters that an optimizer holds, that are part of what the loss is computed from, and
        that could be anything without changing it: two matrices that are multiplied with each
        other and are both initialised to zero (a low-rank adapter), queries and keys of an
        attention over a single entry, a clamp that is always at its bound, or a factor of zero.

    Why it harms:
        The parameters stay what they were initialised to, and what they are there for is not
        learned. Nothing complains: there is a gradient, after all.

    Rule:
        In every probed step, to the last one, an optimizer holds the parameters and their gradient
        is all zeros, while that of others is not, and they are as this run has initialised them.
        Zeros on both sides of a product block each other for ever: that is an alarm where they are
        a tenth of what is trained and more than a fifth of the metric's range is left to gain.
        Other parameters may be unused for good reasons (an expert that is never asked): an alarm
        where the run learned nothing or is stuck far from its best, unless dead or saturated units
        tell why. Severity rises with their share of what is trained; else an observation
        (severity 0.3).

    Example:
        bad: ``A = zeros(8, n); B = zeros(m, 8); y = x @ A.T @ B.T``
        good: ``A`` drawn at random, and only ``B`` zero

    Source:
        Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, section 4.1; Goodfellow
        et al. 2016, Deep Learning, section 8.4, on breaking symmetry.
    """

    code = "P604"
    name = "blocked-gradients"
    signals = ("blocked.elements", "blocked.fresh", "blocked.zeros", "held.elements")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found = [part for part in parts(trace, "blocked") if part.is_mostly("fresh")]
        for zeros in (True, False):
            alike = [part for part in found if part.is_mostly("zeros") == zeros]
            if alike:
                yield self._symptom(trace, metric, alike, zeros)

    def _symptom(
        self, trace: Trace, metric: Objective | None, alike: list[Part], zeros: bool
    ) -> Symptom:
        share = min(1.0, sum(part.share for part in alike))
        if zeros:
            harmed = _harm.is_held_back(trace, metric, share)
        else:
            harmed = _harm.suffers(trace, metric) and not _harm.units_are_gone(trace)
        elements = sum(part.elements for part in alike)
        others = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        why = (
            "they are all zeros, and so is what they are multiplied with"
            if zeros
            else "whatever they are, the loss is the same"
        )
        return Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.5 * share if harmed else 0.3,
            where=alike[0].where,
            source=_line(trace, alike[0].where),
            step=alike[0].step,
            evidence={"elements": elements, "share": share, "zeros": float(zeros)},
            message=(
                f"the gradient of {alike[0].where}{others} ({elements:.0f} parameters) is exactly "
                f"zero in every step: {why}"
            ),
        )


def _line(trace: Trace, where: str) -> str | None:
    """The line that makes a module, or the module of a parameter."""
    info = trace.modules.get(where) or trace.modules.get(where.rpartition(".")[0])
    return info.source if info else None
