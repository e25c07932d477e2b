"""Which of the symptoms a diagnosis is named after."""

from __future__ import annotations

from collections.abc import Sequence

from probes.symptom import Symptom
from remedies import remedies
from remedies.treatment import Treatment


def main_symptom(symptoms: Sequence[Symptom], fix: Treatment = ()) -> Symptom | None:
    """The alarming symptom that the fix is likeliest for, or else the most severe one.

    What a fault brings about may be more severe than what names it.

    Args:
        symptoms: The most severe first.
        fix: The confirmed treatment, if there is one.

    Returns:
        None where none is alarming.

    >>> def found(code: str) -> Symptom:
    ...     return Symptom(code=code, name=code, severity=0.9, where="model", message="")
    >>> both = [found("P302"), found("P816")]
    >>> main_symptom(both).code
    'P302'
    >>> main_symptom(both, (remedies["shuffle-batches"].default("train.py:3"),)).code
    'P816'
    """

    def likelihood(symptom: Symptom) -> float:
        known = (remedies[action.remedy] for action in fix if action.remedy in remedies)
        return max((remedy.treats.get(symptom.code, 0.0) for remedy in known), default=0.0)

    return max((s for s in symptoms if s.alarming), key=likelihood, default=None)
