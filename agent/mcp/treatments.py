"""Treatments as a client writes them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from agent.episode import Episode
from agent.errors import UsageError
from agent.mcp.shown import NAME, short
from agent.ranking import Hypothesis, within
from agent.units import look_up, values
from remedies import remedies
from remedies.base import Remedy
from remedies.space import Choice, Range, Space, Value, complete
from remedies.treatment import Action, Treatment


class WantedAction(BaseModel):
    """One remedy to apply."""

    remedy: str = Field(description="Code or name of the remedy, as candidates gives it: R301.")
    target: str = Field(
        default="",
        description="What to apply it to, as candidates gives it; empty for the likeliest target.",
    )
    params: dict[str, Value] = Field(
        default={},
        description="Parameters that shall differ from what candidates proposes.",
    )


def read_treatment(wanted: Sequence[WantedAction], episode: Episode) -> Treatment:
    """The treatment that a client asks for.

    Args:
        wanted: The single actions.
        episode: The session; only what can be applied to its program is taken.

    Raises:
        UsageError: Something in it cannot be applied; the message says what can.
    """
    if not wanted:
        raise UsageError("the treatment is empty: name at least one remedy of candidates")
    offers = offered(episode)
    treatment = tuple(_action(one, offers, episode) for one in wanted)
    places = [(action.remedy, action.target) for action in treatment]
    if len(set(places)) < len(places):
        raise UsageError("the treatment applies one remedy to the same target twice")
    return treatment


def offered(episode: Episode) -> list[Hypothesis]:
    """All that could be applied to the untreated program, the likeliest first."""
    found = {(h.remedy.code, h.action.target): h for h in episode.options()}
    found |= {(h.remedy.code, h.action.target): h for h in episode.hypotheses()}
    return sorted(found.values(), key=lambda hypothesis: -hypothesis.weight)


def _action(wanted: WantedAction, offers: Sequence[Hypothesis], episode: Episode) -> Action:
    remedy: Remedy = look_up(wanted.remedy.strip(), remedies)
    fitting = [offer for offer in offers if offer.remedy.code == remedy.code]
    if not fitting:
        raise UsageError(
            f"{remedy.code} {remedy.name} cannot be applied to this program: "
            "candidates tells what can"
        )
    action = _at(wanted.target, remedy, fitting, episode)
    space = remedy.space_near(action, episode.untreated)
    params = {**within(space, remedy, action).params, **_checked(wanted.params, remedy, space)}
    return action.model_copy(update={"params": complete(space, params)})


def _at(target: str, remedy: Remedy, fitting: Sequence[Hypothesis], episode: Episode) -> Action:
    """The remedy at the target as it was shown."""
    if not target:
        return fitting[0].action
    for offer in fitting:
        if target in (offer.action.target, short(offer.action.target, NAME)):
            return offer.action
    everywhere = list(remedy.targets([], episode.untreated))
    for place in everywhere:
        if target in (place, short(place, NAME)):
            return remedy.default(place)
    known = [offer.action.target for offer in fitting] + everywhere
    named = ", ".join(dict.fromkeys(short(place, NAME) or "(empty)" for place in known[:10]))
    raise UsageError(f"{remedy.name} has no target {short(target, NAME)!r}; it has: {named}")


def _checked(params: dict[str, Value], remedy: Remedy, space: Space) -> dict[str, Value]:
    found: dict[str, Value] = {}
    # What is worth a search in this program is proposed; what the remedy takes at all is allowed.
    whole = remedy.space | space
    for name, value in params.items():
        if name not in whole:
            known = ", ".join(whole) or "none at all"
            unknown = short(name, NAME)
            raise UsageError(f"{remedy.name} has no parameter {unknown!r}; it has: {known}")
        dimensions = [whole[name], *([remedy.space[name]] if name in remedy.space else [])]
        fitting = next((fit for d in dimensions if (fit := _fitting(value, d)) is not None), None)
        if fitting is None:
            shown = f"{name}={short(value, NAME)}"
            takes = values(dimensions[-1])
            raise UsageError(f"{remedy.name} cannot have {shown}; it takes {takes}")
        found[name] = fitting
    return found


def _fitting(value: Value, dimension: Choice | Range) -> Value | None:
    """The value as the remedy takes it: a model may write 2 for "2"."""
    if isinstance(dimension, Choice):
        same = [option for option in dimension.options if str(option) == str(value)]
        return same[0] if same else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if dimension.low <= value <= dimension.high else None
