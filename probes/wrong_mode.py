"""P803: a model is trained in evaluation mode, or evaluated in training mode."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from probes import _progress
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Phase, Trace

_FEWEST = 3
_PERSISTS = 0.9
_REPORTED = 0.4
_SAMPLED = 2.0


@dataclass(frozen=True, slots=True)
class _Passes:
    """Passes of one root in one step."""

    step: int
    line: str
    training: float
    active: float
    trained: float
    repeats: float


class WrongMode(Probe):
    """A model is trained in evaluation mode, or evaluated in training mode.

    What it detects:
        A model with dropout or batch norm that is in ``eval()`` while it is trained (after the
        first validation nobody called ``train()`` again), or in ``train()`` in the passes without
        gradients that it is judged by.

    Why it harms:
        In evaluation mode nothing is dropped, and batch norm uses running statistics that are no
        longer updated. In training mode held-out samples are judged through random holes, or by the
        statistics of their batch.

    Rule:
        Training passes: in 90 % of the probed steps of the second half the whole model, which an
        optimizer trains, is in evaluation mode, and no dropout or batch norm of it works as in
        training. A part that is kept in evaluation mode within a model in training mode (a frozen
        backbone) does not count. It is an alarm when more than 2 % of the metric's range is left
        to gain and the model was in training mode earlier, or more than a fifth is.
        Passes without gradients: in 90 % of those that were looked at (three steps or more) the
        model is in training mode, no input passes twice in a row (as in Monte Carlo dropout), and a
        metric is reported in the same step in 40 % of them. It is an alarm when more than 2 % of
        the metric's range is left to gain. Anything less is an observation (severity 0.3).

    Example:
        bad: ``model.train()`` once, before a loop that ends with ``model.eval()``
        good: ``model.train()`` at the start of each epoch, ``model.eval()`` before validation

    Source:
        The documentation of ``torch.nn.Module.eval``; Srivastava et al. 2014, Dropout; Ioffe and
        Szegedy 2015, Batch Normalization; Gal and Ghahramani 2016 on Monte Carlo dropout.
    """

    code = "P803"
    name = "wrong-mode"
    signals = ("mode.training", "mode.active", "mode.trained", "mode.repeats")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for root, passes in _by_root(trace, "train").items():
            late = [each for each in passes if each.step >= trace.steps / 2]
            wrong = [p for p in late if p.trained and not p.training and not p.active]
            if len(wrong) >= max(_FEWEST, _PERSISTS * len(late)):
                left = any(each.training for each in passes if each.step < wrong[0].step)
                share = _progress.NEARLY if left else _progress.FAR
                yield self._symptom(
                    root,
                    passes,
                    wrong,
                    "trained in evaluation mode",
                    _progress.leaves(trace, metric, share),
                )
        for root, passes in _by_root(trace, "eval").items():
            wrong = [p for p in passes if p.trained and p.training and p.active]
            if len({p.step for p in wrong}) < _FEWEST or len(wrong) < _PERSISTS * len(passes):
                continue
            if statistics.median(p.repeats for p in wrong) >= _SAMPLED:
                continue
            reported = set(metric.series(trace).steps) if metric is not None else set()
            hits = sum(p.step in reported or p.step + 1 in reported for p in wrong)
            harmed = hits >= _REPORTED * len(wrong) and _progress.leaves(
                trace, metric, _progress.NEARLY
            )
            yield self._symptom(root, wrong, wrong, "evaluated in training mode", harmed)

    def _symptom(
        self, root: str, passes: list[_Passes], wrong: list[_Passes], how: str, harmed: bool
    ) -> Symptom:
        first = next(
            (p for n, p in enumerate(passes) if all(q.training == p.training for q in passes[n:])),
            wrong[0],
        )
        line = wrong[-1].line
        at = f" ({line})" if line else ""
        return Symptom(
            code=self.code,
            name=self.name,
            severity=0.8 if harmed else 0.3,
            where=root,
            source=line or None,
            step=first.step,
            evidence={"steps": float(len(wrong)), "training": wrong[-1].training},
            message=f"from step {first.step} on {root} is {how}{at}, and has dropout or batch norm",
        )


def _by_root(trace: Trace, phase: Phase) -> dict[str, list[_Passes]]:
    """What was seen of the passes of each root, in the order of the steps."""
    found: dict[str, list[_Passes]] = {}
    for place in trace.places("mode.training", phase):
        root, _, line = place.partition("@")
        columns = [
            trace.signal(phase, place, f"mode.{name}").finite
            for name in ("training", "active", "trained", "repeats")
        ]
        if len({len(column) for column in columns}) > 1:
            continue
        rows = zip(columns[0].steps, *(column.values for column in columns), strict=True)
        found.setdefault(root, []).extend(_Passes(step, line, *row) for step, *row in rows)
    return {root: sorted(passes, key=lambda p: p.step) for root, passes in found.items()}
