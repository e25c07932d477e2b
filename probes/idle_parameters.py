"""P804: parameters that an optimizer holds and that are cut off from the loss."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress
from probes._parts import Part, parts
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_MOST = 3
CURABLE = ("detach", "data", "no_grad", "frozen")
"""Cuts that can be left out without another meaning."""
_NUMBERS = ("tensor", "item", "tolist")
_RARELY_MEANT = ("detach", "data", "tensor", "numpy", "item", "tolist", "no_grad", "frozen")


class IdleParameters(Probe):
    """Parameters that an optimizer holds and that are cut off from the loss.

    What it detects:
        A module that is computed in the forward pass, whose parameters an optimizer holds, and that
        never gets a gradient: its output is taken out of the graph by ``detach()``, ``.data``,
        ``torch.tensor(x)``, ``.numpy()``, ``argmax`` and the like, it is computed within
        ``no_grad``, or its parameters ask for no gradient. The line is the one that cuts.

    Why it harms:
        The module stays at its initial values, and the optimizer does not complain.

    Rule:
        In every probed step, to the last one, an optimizer holds the parameters, they have no
        gradient and no loss depends on them, they do not change by other means, and in the first
        steps they were used in a computation that ends in such a call. Modules that are not used at
        all are no fault. Cutting is also done on purpose: it is an alarm when the parameters are as
        this run has initialised them and more than a fifth of the metric's range is left to
        gain, and the metric went less than half of its way where they are left out by ``no_grad``
        or by asking for no gradient. Where what they compute becomes a plain number
        (``item()``, ``torch.tensor(x)``) and goes nowhere else, that is no purpose, whatever the
        metric, which may be about another head. Otherwise it is an observation (severity 0.3).

    Example:
        bad: ``features = self.encoder(x).detach()``
        good: ``features = self.encoder(x)``

    Source:
        The documentation of ``torch.Tensor.detach``; Humbatova et al. 2020, Taxonomy of Real Faults
        in Deep Learning Systems.
    """

    code = "P804"
    name = "idle-parameters"
    signals = ("idle.elements", "idle.fresh", "idle.frozen", "idle.moved", "held.elements")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        told = 0
        for part in parts(trace, "idle"):
            cut = cut_of(trace, part)
            if cut is None or part.marks["moved"] or told >= _MOST:
                continue
            told += 1
            kind, line = cut
            on_purpose = kind in ("no_grad", "frozen")
            harmed = part.is_mostly("fresh") and _progress.leaves(trace, metric, _progress.FAR)
            if on_purpose or metric is None:
                harmed = harmed and not _progress.went_half_way(trace, metric)
            if kind in _NUMBERS:
                harmed = part.is_mostly("fresh")
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.5 * part.share if harmed else 0.3,
                where=part.where,
                source=line or None,
                step=part.step,
                evidence={"elements": part.elements, "share": part.share},
                message=(
                    f"{part.where} ({part.elements:.0f} parameters) is computed, but never gets a "
                    f"gradient: {_words(kind)} at {line} keeps it out of the loss"
                ),
            )


def cut_of(trace: Trace, part: Part) -> tuple[str, str] | None:
    """The kind and the line of the cut that a part lies behind; None where it is not used."""
    own = set(part.parameters)
    found: dict[tuple[str, str], float] = {}
    for _, place, name in trace.signals:
        parameter, _, line = place.partition("@")
        if name.startswith("cut.") and parameter in own:
            order = trace.signal("train", place, name).values
            if order:
                found.setdefault((name.removeprefix("cut."), line), order[0])
    rank = {kind: number for number, kind in enumerate(_RARELY_MEANT)}
    return min(found, key=lambda cut: (rank.get(cut[0], len(rank)), found[cut]), default=None)


def _words(kind: str) -> str:
    return {"no_grad": "no_grad", "frozen": "requires_grad=False, used"}.get(kind, f"{kind}")
