"""The optimizers of the program: what the script calls them, and the lines that use them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from probes.facts import LoopInfo
from probes.tap.locate import Sources, variables
from probes.trace import Event


@dataclass(slots=True)
class Known:
    """An optimizer that was made.

    Attributes:
        reference: The optimizer, as long as it exists.
        source: The line that made it.
        earlier: Identities of the parameters that there were when it was made.
        info: What was told about it last; None before its first step.
    """

    reference: weakref.ref[Optimizer]
    source: str | None
    earlier: set[int]
    info: LoopInfo | None = None

    @property
    def parameters(self) -> list[Tensor]:
        """What it updates now."""
        optimizer = self.reference()
        return [] if optimizer is None else held_by(optimizer)


class Optimizers:
    """Knows every optimizer by the name of the variable that holds it.

    Args:
        sources: Tells the user's lines.
        emit: Takes a ``loop`` event where something new is known about one.

    Attributes:
        backward: The line of the last backward pass that was looked at.
    """

    def __init__(self, sources: Sources, emit: Callable[[Event], None]) -> None:
        self._sources = sources
        self._emit = emit
        self._known: dict[int, Known] = {}
        self.backward: str | None = None

    def made(self, optimizer: Optimizer, earlier: set[int]) -> None:
        """Take note of one that was just made."""
        self._known[id(optimizer)] = Known(weakref.ref(optimizer), self.line(), earlier)

    @property
    def alive(self) -> list[Known]:
        """Those that still exist, in the order in which they were made."""
        return [known for known in self._known.values() if known.reference() is not None]

    def find(self, optimizer: Optimizer) -> Known | None:
        """What is known about one; None where it was made unseen."""
        known = self._known.get(id(optimizer))
        return known if known is not None and known.reference() is optimizer else None

    def line(self) -> str | None:
        """The user's line that is at work."""
        return self._sources.line()

    def tell(self, optimizer: Optimizer) -> str:
        """Say from within a step of an optimizer which lines led to it, where that is news.

        Returns:
            The name of the optimizer.
        """
        known = self.find(optimizer)
        if known is None:
            self.made(optimizer, set())
            known = self._known[id(optimizer)]
        old = known.info
        where = old.where if old else self._name(optimizer)
        kind = type(optimizer).__name__
        info = LoopInfo(where, kind, known.source, self.backward, self.line())
        if info != old:
            known.info = info
            self._emit({"event": "loop", **asdict(info)})
        return where

    def _name(self, optimizer: Optimizer) -> str:
        found = (_variable(frame, optimizer) for frame in self._sources.stack())
        name = next(filter(None, found), None) or type(optimizer).__name__
        taken = {known.info.where for known in self._known.values() if known.info}
        others = (f"{name}#{number}" for number in range(2, len(taken) + 3))
        return name if name not in taken else next(o for o in others if o not in taken)


def held_by(optimizer: Optimizer) -> list[Tensor]:
    """The parameters of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _variable(frame: FrameType, value: Any) -> str | None:
    """The name that holds a value: a local variable, or an attribute of ``self``."""
    local_variables = variables(frame)
    for name, local in local_variables.items():
        if local is value and name != "self":
            return name
    owner = local_variables.get("self")
    attributes = getattr(owner, "__dict__", None) or {}
    return next((name for name, held in list(attributes.items()) if held is value), None)
