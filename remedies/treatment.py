"""A treatment: what is changed in a living training program, as plain data."""

from __future__ import annotations

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

    def __str__(self) -> str:
        params = ", ".join(f"{key}={_short(value)}" for key, value in self.params.items())
        at = f" @ {self.target}" if self.target else ""
        return f"{self.name}({params}){at}"


Treatment = tuple[Action, ...]
"""All that is changed in one trial; the empty treatment is the control."""

CONTROL: Treatment = ()


def describe(treatment: Treatment) -> str:
    """One line that names the whole treatment.

    >>> describe((Action(remedy="R101", name="swap-norm", target="net.1", params={"to": "layer"}),))
    'swap-norm(to=layer) @ net.1'
    >>> describe(CONTROL)
    'control'
    """
    return " + ".join(map(str, treatment)) or "control"


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
