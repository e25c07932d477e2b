"""What past diagnoses say about the remedies: how often each was confirmed for a symptom.

A remedy cures a symptom with some chance, of which nothing is known at first but what its author
wrote down (`Remedy.treats`). That prior counts as much as `PRIOR_STRENGTH` diagnoses; each of them
that confirmed or refuted the remedy counts as one more. The chance is then the mean of a Beta
distribution, the conjugate prior of a yes-or-no outcome (Gelman et al., Bayesian Data Analysis,
chapter 2).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.diagnosis import Diagnosis
from remedies import remedies
from remedies.base import Remedy

PRIOR_STRENGTH = 4.0
"""Diagnoses that the written prior of a remedy is worth."""
_SPREAD = 0.9
"""Share of the posterior within the interval that is shown."""


@dataclass(frozen=True)
class Record:
    """How often a remedy was tried for a symptom, and with which end.

    Attributes:
        confirmed: Diagnoses that confirmed it as the fix.
        refuted: Diagnoses that refuted it.
        rejected: Diagnoses that confirmed it, and whose reviewer said that it is no fix.
    """

    confirmed: int = 0
    refuted: int = 0
    rejected: int = 0

    def with_end(self, end: str) -> Record:
        """The record with one more diagnosis; an end that says nothing leaves it as it is."""
        return Record(
            self.confirmed + (end == "confirmed"),
            self.refuted + (end == "refuted"),
            self.rejected + (end == "rejected"),
        )


@dataclass(frozen=True)
class Experience:
    """The records of all remedies for all symptoms, by the codes of symptom and remedy."""

    records: Mapping[tuple[str, str], Record] = field(default_factory=dict)

    def chance(self, remedy: Remedy, symptom: str) -> float:
        """How likely it is that the remedy cures the symptom with this code, from 0 to 1.

        >>> from remedies import remedies
        >>> swap = remedies["swap-norm"]
        >>> Experience().chance(swap, "P101") == swap.treats["P101"]
        True
        """
        yes, no = self.beta(remedy, symptom)
        return yes / (yes + no) if yes + no else 0.0

    def beta(self, remedy: Remedy, symptom: str) -> tuple[float, float]:
        """Parameters of the posterior: what speaks for the remedy, and what against it."""
        prior = remedy.treats.get(symptom, 0.0)
        record = self.records.get((symptom, remedy.code), Record())
        yes = PRIOR_STRENGTH * prior + record.confirmed
        no = PRIOR_STRENGTH * (1.0 - prior) + record.refuted + record.rejected
        return yes, no

    def interval(self, remedy: Remedy, symptom: str) -> tuple[float, float]:
        """The central interval that holds nine tenths of the posterior."""
        from scipy.stats import beta

        yes, no = self.beta(remedy, symptom)
        if not yes or not no:
            return (self.chance(remedy, symptom),) * 2
        low, high = beta.interval(_SPREAD, yes, no)
        return float(low), float(high)


NONE = Experience()


def write_evidence(diagnosis: Diagnosis) -> str:
    """What a diagnosis says about remedies, as one line of JSON: ``[symptom, remedy, end]`` each.

    A treatment of several remedies speaks for each of them when it is confirmed, and against none
    when it is refuted: it is not known which of them it was.
    """
    alarming = {symptom.code for symptom in diagnosis.symptoms if symptom.alarming}
    ends: dict[tuple[str, str], str] = {}
    for tried in diagnosis.tried:
        if tried.status == "refuted" and len(tried.treatment) > 1:
            continue
        for action in tried.treatment if tried.status in _ENDS else ():
            for code in alarming & set(remedies[action.remedy].treats):
                # A remedy that is confirmed at one place may well be refuted at another.
                known = ends.get((code, action.remedy), _ENDS[0])
                ends[code, action.remedy] = max(known, tried.status, key=_ENDS.index)
    return json.dumps(sorted([*pair, end] for pair, end in ends.items()))


_ENDS = ("refuted", "confirmed")


def gather(evidence: Iterable[tuple[str, str]]) -> Experience:
    """The experience from the evidence of diagnoses.

    Args:
        evidence: For each diagnosis, what `write_evidence` gave, and the word of its reviewer:
            ``accepted``, ``rejected`` or nothing.
    """
    records: dict[tuple[str, str], Record] = {}
    for written, review in evidence:
        for symptom, remedy, end in _read(written):
            if end == "confirmed" and review == "rejected":
                end = "rejected"
            key = symptom, remedy
            records[key] = records.get(key, Record()).with_end(end)
    return Experience(records)


def _read(written: str) -> Iterator[tuple[str, str, str]]:
    """What is there of the evidence: a tag can be edited by anybody."""
    try:
        entries = json.loads(written)
    except ValueError:
        return
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, list) and len(entry) == 3 and all(isinstance(e, str) for e in entry):
            yield entry[0], entry[1], entry[2]
