"""What a page is made from: a diagnosis, and the traces of the trials that it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.diagnosis import Diagnosis
from agent.workload import Outcome, TrialSpec
from probes import probes
from probes.objective import Objective
from probes.series import Series
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.treatment import CONTROL, Treatment


@dataclass(frozen=True)
class ShownSignal:
    """The signal that a symptom was read from, and its symptom."""

    symptom: Symptom
    name: str


@dataclass(frozen=True)
class Evidence:
    """A diagnosis with the traces that prove it.

    Attributes:
        diagnosis: What was found.
        baseline: The untreated run in which the symptoms were found; None where it is not known.
        pairs: Untreated and treated trace for each seed on which the fix was confirmed.
    """

    diagnosis: Diagnosis
    baseline: Trace | None = None
    pairs: dict[int, tuple[Trace, Trace]] = field(default_factory=dict)

    @classmethod
    def of(cls, diagnosis: Diagnosis, outcomes: Iterable[Outcome]) -> Evidence:
        """Choose what is needed from the trials of a diagnosis."""
        trials = sorted(outcomes, key=lambda outcome: outcome.spec.number)
        baseline = trials[0].trace if trials and not trials[0].spec.treatment else None
        prefix = diagnosis.workload.prefix
        if baseline is not None and prefix is not None:
            baseline = baseline.before(prefix)
        pairs = {}
        treatment = diagnosis.fix.treatment if diagnosis.fix else CONTROL
        for seed in sorted(diagnosis.fix.metric_after) if diagnosis.fix else ():
            control, treated = _find(trials, CONTROL, seed), _find(trials, treatment, seed)
            if control is not None and treated is not None:
                pairs[seed] = control, treated
        return cls(diagnosis, baseline, pairs)

    @property
    def objective(self) -> Objective | None:
        """The metric that trials were judged by."""
        metric = self.diagnosis.workload.metric
        if metric is None:
            return None
        return Objective(name=metric.name, mode=metric.mode, source=metric.source)

    @property
    def signal(self) -> ShownSignal | None:
        """The signal that the worst alarm was read from, of those that were recorded."""
        if self.baseline is None:
            return None
        for symptom in (symptom for symptom in self.diagnosis.symptoms if symptom.alarming):
            names = probes[symptom.code].signals if symptom.code in probes else ()
            there = [name for name in names if _recorded(self.baseline, name)]
            at = [name for name in there if _recorded(self.baseline, name, symptom.where)]
            if there:
                return ShownSignal(symptom, (at or there)[0])
        return None

    @property
    def shares(self) -> dict[str, Series]:
        """What each loss term had of the gradient over the untreated run; empty for one term."""
        if self.baseline is None:
            return {}
        places = self.baseline.places("term.share")
        shares = {where: self.baseline.signal("train", where, "term.share") for where in places}
        return shares if len(shares) > 1 else {}


def is_needed(diagnosis: Diagnosis, trial: TrialSpec) -> bool:
    """Whether a page shows the trace of this trial."""
    fix = diagnosis.fix
    sides = (CONTROL, fix.treatment) if fix is not None and trial.seed in fix.metric_after else ()
    return trial.number == 0 or trial.treatment in sides


def _find(trials: Iterable[Outcome], treatment: Treatment, seed: int) -> Trace | None:
    found = [t for t in trials if t.spec.treatment == treatment and t.spec.seed == seed]
    return found[-1].trace if found else None


def _recorded(trace: Trace, name: str, at: str | None = None) -> bool:
    return any(n == name and at in (None, where) for _, where, n in trace.signals)
