"""What came of treatments that had one trial each, and which of them is the one to confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.assessment import Assessment
from remedies import remedies
from remedies.treatment import Treatment

_TIED = 0.95
"""Share of the best gain from which one run cannot tell which of two treatments is the better."""


@dataclass(frozen=True)
class Heard:
    """One treatment that was tried on the search seed.

    Attributes:
        treatment: What was changed.
        assessment: What came of it.
        pruned: Whether it was stopped early, being worse than the control all along.
        disproved: Whether it recovered the metric here, and not in the confirmation.
    """

    treatment: Treatment
    assessment: Assessment
    pruned: bool = False
    disproved: bool = False

    @property
    def recovers(self) -> bool:
        """Whether it recovered the metric, and nothing is against it."""
        return self._stands and self.assessment.recovers

    @property
    def promises(self) -> bool:
        """Whether only a new symptom is against it: one seed does not tell whose that is."""
        assessment = self.assessment
        told = bool(assessment.cleared and assessment.raised)
        return self._stands and told and assessment.clears

    @property
    def _stands(self) -> bool:
        return not (self.pruned or self.disproved)


def by_gain(heard: Sequence[Heard]) -> list[Heard]:
    """The treatments that recovered the metric, the largest gain first.

    Of those that tie with the best one, the smaller and the likelier come first.
    """
    ranked = sorted((h for h in heard if h.recovers), key=lambda h: -h.assessment.gain)
    if not ranked or not ranked[0].assessment.comparable:
        return ranked
    tied = [h for h in ranked if h.assessment.gain >= _TIED * ranked[0].assessment.gain]
    return sorted(tied, key=lambda h: (len(h.treatment), -_likelihood(h))) + ranked[len(tied) :]


def worth_confirming(heard: Sequence[Heard]) -> list[Heard]:
    """What recovered the metric, and before it what promises clearly more; the best first."""
    recovering = by_gain(heard)
    best = max((h.assessment.gain for h in recovering), default=0.0)
    promising = [h for h in heard if h.promises and _TIED * h.assessment.gain > best]
    return [*sorted(promising, key=lambda h: -h.assessment.gain), *recovering]


def _likelihood(heard: Heard) -> float:
    """How likely the last remedy of a treatment was to cure what it cured, before it was tried."""
    treats = remedies[heard.treatment[-1].remedy].treats
    return max((treats.get(code, 0.0) for code in heard.assessment.cleared), default=0.0)


def explain(heard: Heard, best: Heard | None) -> str:
    """Why a treatment is not the fix, in one sentence."""
    assessment, objective = heard.assessment, heard.assessment.objective
    before = assessment.control.value(objective)
    change = f"{objective.name} {before:.4g} -> {assessment.value:.4g}"
    if heard.pruned:
        return f"stopped early: {objective.name} stayed below the untreated run's"
    ending = assessment.treated.ending
    if assessment.broken:
        return f"the treated run ended {assessment.treated.status}: {ending and ending.message}"
    if assessment.inert:
        return "it found nothing to change in the program"
    if assessment.unchanged:
        return (
            f"it makes no difference: bit for bit the same training ({objective.name} {before:.4g})"
        )
    if assessment.raised:
        return f"it brings {', '.join(assessment.raised)} ({change})"
    if assessment.gain <= 0 and assessment.cleared:
        cleared = ", ".join(assessment.cleared)
        return f"treats the symptom, not the cause: {cleared} gone, {change}"
    if assessment.gain <= 0:
        return f"no improvement: {change}"
    if assessment.remaining:
        stays = "remains" if len(assessment.remaining) == 1 else "remain"
        return f"{', '.join(assessment.remaining)} {stays} ({change})"
    if best is not None and best is not heard:
        return f"recovers too ({change}), but {best.treatment[-1]} does better; not confirmed"
    return change
