"""P502: a branch contributes more than its stream while its weights are still random."""

from __future__ import annotations

from collections.abc import Iterable

from probes._branches import branches
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

OUTWEIGHS = 1.0
"""Ratio of branch and stream from which the sum is more of the branch than of the stream."""


class UntrainedBranch(Probe):
    """A branch contributes more than its stream while its weights are still random.

    What it detects:
        Modules whose output is added to the features that they are fed from (attention, context
        injection, low-rank weight changes from a hypernetwork, a residual block) and which, before
        they have learned anything, outweigh what they are added to.

    Why it harms:
        What comes out of random weights is noise for the layers that follow. Where it is louder
        than the features, they learn from noise, if they learn at all. Many networks get over it:
        residual blocks at their initialisation are made so. It tells which modules to suspect where
        a training fails, and is never an alarm by itself.

    Rule:
        The root mean square of what the module adds is at least that of what it is added to, in
        the median over the steps in which its weights are random: until the updates of its
        parameters have gone a tenth of the initial norm. Severity 0.3.

    Example:
        bad: ``features + 8 * attention(features, context)`` from the first step on
        good: ``features + gate * attention(features, context)`` with ``gate`` 0 at the beginning

    Source:
        Zhang et al. 2019, Fixup Initialization; Bachlechner et al. 2021, ReZero; Hu et al. 2021,
        LoRA, whose second factor begins with zeros; the investigation of a background collapse.
    """

    code = "P502"
    name = "untrained-branch"
    signals = ("branch.ratio", "branch.inputs", "update.norm", "weight.norm")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for branch in branches(trace):
            if branch.ratio < OUTWEIGHS:
                continue
            info = trace.modules.get(branch.where)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.3,
                where=branch.where,
                source=info.source if info else None,
                evidence={"ratio": branch.ratio, "random_until": branch.random_until},
                message=(
                    f"{branch.where} adds {branch.ratio:.3g} times what it is added to while its "
                    f"weights are random (until step {branch.random_until})"
                ),
            )
