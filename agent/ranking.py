"""Which remedies to hear for a set of symptoms, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from agent.candidate import Candidate
from agent.experience import NONE, Experience
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Choice, Space, complete, usual
from remedies.treatment import Action, Treatment

_TARGETS_EACH = 2
"""Targets of one remedy that are heard for one symptom code."""
_LIKELY = 0.3
"""Prior below which a remedy is a rival hypothesis, and heard at one target only."""
_UNLIKELY = 0.1
"""Prior below which a remedy is heard only when it is asked for."""
_ASKED_FOR = 0.01
"""Weight of a remedy that nothing but a wish speaks for."""


@dataclass(frozen=True)
class Hypothesis:
    """A remedy at a target, with how likely it is to be the cure.

    Attributes:
        remedy: The remedy.
        action: What to try first.
        space: The parameters that make sense for this program.
        weight: The remedy's chance for the symptom times the symptom's severity.
        offered: Whether it was asked for: then every option of its choices is heard.
    """

    remedy: Remedy
    action: Action
    space: Space
    weight: float
    offered: bool = False

    @property
    def candidate(self) -> Candidate:
        """What an Optuna study chooses."""
        return Candidate(self.action, self.space, self.weight)


def rank(
    remedies: Iterable[Remedy],
    symptoms: Sequence[Symptom],
    trace: Trace,
    offered: Iterable[Remedy] = (),
    applied: Treatment = (),
    experience: Experience = NONE,
) -> list[Hypothesis]:
    """Hypotheses for the alarming symptoms of a run, the likeliest first.

    What is heard at all is told by a remedy's written prior, so that bad luck never shuts it out,
    or by an experience that is better than it; the order is the experience's.

    Args:
        remedies: Those that may be used.
        symptoms: What was found in the run.
        trace: The run.
        offered: Remedies that are heard whatever was found.
        applied: What is applied already, and is not offered again.
        experience: What earlier diagnoses say about the remedies.
    """
    found: dict[tuple[str, str], Hypothesis] = {}
    rivals: dict[str, tuple[Remedy, list[Symptom], float]] = {}
    alarming = sorted((s for s in symptoms if s.alarming), key=lambda s: s.code)
    for code, group in groupby(alarming, key=lambda s: s.code):
        same = sorted(group, key=lambda s: -s.severity)
        for remedy in remedies:
            prior, chance = remedy.treats.get(code, 0.0), experience.chance(remedy, code)
            weight = chance * same[0].severity
            if max(prior, chance) >= _LIKELY:
                _add(found, remedy, same, trace, weight, _TARGETS_EACH)
            elif max(prior, chance) >= _UNLIKELY:
                if weight > rivals.get(remedy.code, (None, None, 0.0))[2]:
                    rivals[remedy.code] = remedy, same, weight
    heard = {remedy for remedy, _ in found}
    for remedy, same, weight in rivals.values():
        if remedy.code not in heard:
            _add(found, remedy, same, trace, weight, 1)
    for remedy in offered:
        treated = [s for s in alarming if s.code in remedy.treats]
        _add(found, remedy, treated, trace, _ASKED_FOR, _TARGETS_EACH)
        for key in [key for key in found if key[0] == remedy.code]:
            space = remedy.space_near(found[key].action, trace)
            found[key] = replace(found[key], space=space, offered=True)
    return _fresh(found, applied)


def everything(
    remedies: Iterable[Remedy],
    symptoms: Sequence[Symptom],
    trace: Trace,
    applied: Treatment = (),
    experience: Experience = NONE,
) -> list[Hypothesis]:
    """Every remedy that could be applied to a program, at its likeliest target; see `rank`.

    Those that a symptom calls for come first.
    """
    found: dict[tuple[str, str], Hypothesis] = {}
    alarming = [symptom for symptom in symptoms if symptom.alarming]
    for remedy in remedies:
        called = [symptom for symptom in alarming if symptom.code in remedy.treats]
        chances = [experience.chance(remedy, s.code) * s.severity for s in called]
        _add(found, remedy, called, trace, max(chances, default=_ASKED_FOR), 1)
    return _fresh(found, applied)


def _fresh(found: dict[tuple[str, str], Hypothesis], applied: Treatment) -> list[Hypothesis]:
    """What is not applied already, the likeliest first."""
    taken = {(action.remedy, action.target) for action in applied}
    fresh = [hypothesis for key, hypothesis in found.items() if key not in taken]
    return sorted(fresh, key=lambda hypothesis: -hypothesis.weight)


def _add(
    found: dict[tuple[str, str], Hypothesis],
    remedy: Remedy,
    symptoms: list[Symptom],
    trace: Trace,
    weight: float,
    most: int,
) -> None:
    for place, target in enumerate(islice(remedy.targets(symptoms, trace), most)):
        key = (remedy.code, target)
        if key not in found or found[key].weight < weight:
            action = remedy.default(target, symptoms)
            space = usual(remedy.space_near(action, trace))
            action = within(space, remedy, action)
            found[key] = Hypothesis(remedy, action, space, weight / (1 + place))


def within(space: Space, remedy: Remedy, action: Action) -> Action:
    """The action with the defaults of this program's space, where that is narrower.

    Replaced is a choice that the space leaves out, and a number whose range is another one here.
    """
    general = remedy.space

    def fits(key: str) -> bool:
        dimension = space.get(key)
        if isinstance(dimension, Choice):
            return action.params[key] in dimension.options
        return dimension is None or dimension == general[key]

    kept = {key: value for key, value in action.params.items() if fits(key)}
    return action.model_copy(update={"params": complete(space, kept)})
