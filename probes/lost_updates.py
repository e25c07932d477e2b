"""P311: updates smaller than the spacing of the format that the weights are kept in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from probes import _harm, _optimizers
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_MOST = 0.5
_USUAL_RATE = 0.5
"""Share of the highest learning rate of a run from which on a step is no warm-up and no ending."""
_FEWEST_POINTS = 8


@dataclass(frozen=True)
class _Matrix:
    """A weight matrix in half precision.

    Attributes:
        where: Its parameter group.
        name: Its name.
        lost: Share of its gradient whose elements do not move in a step, the median.
        elements: How many it has.
    """

    where: str
    name: str
    lost: float
    elements: float


class LostUpdates(Probe):
    """Updates smaller than the spacing of the format that the weights are kept in.

    What it detects:
        Weights in bfloat16 or float16 (``model.bfloat16()``, ``model.half()``, a default type),
        and an optimizer whose updates are mostly less than half of the spacing of that format at
        the value of a weight.

    Why it harms:
        The sum of weight and update is rounded to the nearest number, which is the weight: step
        after step the update is gone, and however many there are, they do not add up. bfloat16 has
        eight significant bits, so that a weight of 1 moves by 0.004 or not at all.

    Rule:
        For each weight matrix in half precision, at probed steps at half of the highest learning
        rate of the run or more (neither warm-up nor the end of a schedule): the share of its
        gradient, by absolute value, that belongs to elements which the step left exactly as they
        were. Elements without a gradient, such as rows of an embedding that a batch does not ask
        for, do not count, and elements with a small one hardly. It is an alarm where the median is
        a half or more for matrices with half of all their elements, eight steps at least, while the
        run gets nowhere: the metric went less than half of its way and the loss kept 70 %. A
        matrix that converged has small updates, too, and loses nothing by it. Half is where the
        format takes more of the gradient than it lets through. Only steps of torch's own optimizers
        are judged: others may round at random or keep what they lost for the next step. In float32
        the spacing is 65536 times as small as in bfloat16; what is lost there is a learning rate
        that is far too low (P304). Severity rises from 0.5 to 0.9 where all of it is lost.

    Example:
        bad: ``model.to(torch.bfloat16)`` and AdamW with a learning rate of 3e-4
        good: weights in float32, the forward pass under ``torch.autocast("cuda", torch.bfloat16)``

    Source:
        Micikevicius et al. 2018, Mixed Precision Training (section 3.1, a master copy of the
        weights in float32); Zamirai et al. 2020, Revisiting BFloat16 Training (nearest rounding
        cancels small updates); Kalamkar et al. 2019, A Study of BFLOAT16 for Deep Learning
        Training.
    """

    code = "P311"
    name = "lost-updates"
    signals = ("update.lost", "update.elements", "cast.half", "optimizer.lr", "loss.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        matrices = list(_matrices(trace))
        stuck = [matrix for matrix in matrices if matrix.lost >= _MOST]
        share = _elements(stuck) / max(1.0, _elements(matrices))
        if share < _MOST or not _harm.got_nowhere(trace, metric):
            return
        most = max(stuck, key=lambda matrix: matrix.elements)
        lost = sum(matrix.lost * matrix.elements for matrix in stuck) / _elements(stuck)
        lines = trace.places("cast.half")
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.4 * (lost - _MOST) / (1 - _MOST),
            where=most.where,
            source=lines[0] if lines else _optimizers.source(trace, most.where),
            evidence={
                "lost": lost,
                "matrices": float(len(stuck)),
                "elements": share,
                "learning_rate": _optimizers.setting(trace, most.where, "lr") or 0.0,
            },
            message=(
                f"{lost:.0%} of the gradient moves nothing: the weights ({most.name} for one) are "
                "kept in half precision, and updates of less than half the spacing of its numbers "
                "are rounded away; keep the weights in float32 and compute in half precision"
            ),
        )


def _matrices(trace: Trace) -> Iterator[_Matrix]:
    for where in _optimizers.groups(trace):
        rates = dict(trace.signal("train", where, "optimizer.lr").finite)
        enough = _USUAL_RATE * max(rates.values(), default=0.0)
        for name in trace.optimizers[where].parameters:
            lost = [
                value
                for step, value in trace.signal("train", name, "update.lost").finite
                if rates.get(step, 0.0) >= enough > 0
            ]
            if len(lost) >= _FEWEST_POINTS:
                elements = trace.signal("train", name, "update.elements").values[-1]
                yield _Matrix(where, name, statistics.median(lost), elements)


def _elements(matrices: Iterable[_Matrix]) -> float:
    return sum(matrix.elements for matrix in matrices)
