"""One hypothesis of a search: an action, and what may be tuned in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from remedies.space import Choice, Range, Space, Value, complete
from remedies.treatment import Action, Treatment


@dataclass(frozen=True)
class Candidate:
    """A remedy at a target with its search space.

    Attributes:
        action: What to hear first. Its parameters that are not in the space stay as they are.
        space: The parameters that may be tuned.
        weight: How likely it is to be the cure, relative to the others; above 0.
    """

    action: Action
    space: Space
    weight: float = 1.0

    @property
    def key(self) -> str:
        """What tells it apart from the other candidates of the search."""
        return key_of(self.action)

    def with_params(self, params: dict[str, Value]) -> Action:
        """The action with other parameters."""
        full = complete(self.space, {**self.action.params, **params})
        return self.action.model_copy(update={"params": full})

    @property
    def variants(self) -> list[Action]:
        """The other options of its choices, one changed at a time: to be heard after defaults.

        >>> swap = Action(remedy="R101", name="swap-norm", target="net.1", params={"to": "layer"})
        >>> candidate = Candidate(swap, {"to": Choice(("layer", "group"))})
        >>> [str(action) for action in candidate.variants]
        ['swap-norm(to=group) @ net.1']
        """
        return [
            self.with_params({name: option})
            for name, dimension in self.space.items()
            if isinstance(dimension, Choice)
            for option in dimension.options
            if option != self.action.params.get(name)
        ]

    @property
    def all_actions(self) -> list[Action] | None:
        """Everything that it can be; None when a range makes that endless."""
        options = [_options(dimension) for dimension in self.space.values()]
        finite = [values for values in options if values is not None]
        if len(finite) < len(options):
            return None
        return [
            self.with_params(dict(zip(self.space, values, strict=True)))
            for values in product(*finite)
        ]

    @property
    def endless(self) -> dict[str, Value]:
        """The options with which a range means something: there is always more to try with them."""
        return dict(
            dimension.only_with
            for dimension in self.space.values()
            if isinstance(dimension, Range) and dimension.only_with
        )

    def allows(self, action: Action) -> bool:
        """Whether the action is this one, but for parameters that lie within the space."""
        tuned = {name: value for name, value in action.params.items() if name in self.space}
        within = all(_contains(self.space[name], value) for name, value in tuned.items())
        return within and action == self.with_params(tuned)


def key_of(action: Action) -> str:
    """The key of the candidate that the action is of."""
    return f"{action.remedy} @ {action.target}" if action.target else action.remedy


def write_treatment(treatment: Treatment) -> str:
    """A treatment as canonical JSON: equal treatments give equal text."""
    return json.dumps([action.model_dump() for action in treatment], sort_keys=True)


def read_treatment(written: str) -> Treatment:
    """The treatment that `write_treatment` wrote."""
    return tuple(Action(**fields) for fields in json.loads(written))


def describe_space(candidates: Sequence[Candidate]) -> list[object]:
    """The search space as plain data: equal for searches that can go on from one another."""
    return [
        [c.key, [[name, repr(dimension)] for name, dimension in sorted(c.space.items())]]
        for c in candidates
    ]


def _options(dimension: Choice | Range) -> tuple[Value, ...] | None:
    if isinstance(dimension, Choice):
        return dimension.options
    return (dimension.low,) if dimension.low == dimension.high else None


def _contains(dimension: Choice | Range, value: Value) -> bool:
    if isinstance(dimension, Choice):
        return value in dimension.options
    return isinstance(value, int | float) and dimension.low <= value <= dimension.high
