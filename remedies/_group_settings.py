"""Other settings of an optimizer while it makes its step; the script sees its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.surgery import Program

Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the settings of a parameter group that shall be others, by name."""


def during_steps(program: Program, action: Action, change: Change) -> None:
    """Change the parameter groups before each step and put them back afterwards."""
    originals: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def before(optimizer: Optimizer) -> None:
        originals.clear()
        for group in optimizer.param_groups:
            wanted = dict(change(group))
            originals.append((group, {name: group[name] for name in wanted}))
            group.update(wanted)
            if wanted:
                told = ", ".join(f"{name}={value}" for name, value in wanted.items())
                program.report(action, "", told)

    def after(optimizer: Optimizer) -> None:
        for group, settings in originals:
            group.update(settings)
        originals.clear()

    program.around_steps(before, after)
