"""A treatment: what is changed in a living training program, as plain data."""

from __future__ import annotations

from itertools import groupby

from pydantic import BaseModel, ConfigDict

from remedies.space import Value


class Action(BaseModel):
    """One remedy, applied to one target with concrete parameters.

    Attributes:
        remedy: Code of the remedy, ``R101``.
        name: Name of the remedy, ``swap-norm``.
        target: What it is applied to: module paths or loss terms, separated by commas; empty
            where the remedy acts on the whole program.
        params: Concrete values of the remedy's parameters.
    """

    model_config = ConfigDict(frozen=True)

    remedy: str
    name: str
    target: str = ""
    params: dict[str, Value] = {}

    @property
    def targets(self) -> tuple[str, ...]:
        """The single targets."""
        return tuple(part for part in self.target.split(",") if part)

    def __hash__(self) -> int:
        return hash((self.remedy, self.name, self.target, frozenset(self.params.items())))

    def __str__(self) -> str:
        params = ", ".join(f"{key}={_short(value)}" for key, value in self.params.items())
        at = f" @ {self.target}" if self.target else ""
        return f"{self.name}({params}){at}"


Treatment = tuple[Action, ...]
"""All that is changed in one trial; the empty treatment is the control."""

CONTROL: Treatment = ()
_TOLD = 2


def describe(treatment: Treatment) -> str:
    """One line that names the whole treatment.

    Where one remedy is applied to more than two targets, only the targets are told.

    >>> describe((Action(remedy="R101", name="swap-norm", target="net.1", params={"to": "layer"}),))
    'swap-norm(to=layer) @ net.1'
    >>> describe(CONTROL)
    'control'
    >>> describe(tuple(Action(remedy="R103", name="drop-term", target=t) for t in "abc"))
    'drop-term @ a, b, c'
    """
    parts = []
    for name, group in groupby(treatment, key=lambda action: action.name):
        actions = list(group)
        if len(actions) > _TOLD:
            parts.append(f"{name} @ {', '.join(action.target for action in actions)}")
        else:
            parts += map(str, actions)
    return " + ".join(parts) or "control"


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
