"""Gives a loss the tokens that come next for labels."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from probes._loss_functions import CATEGORICAL
from probes.tap.target_tokens import LOOKUPS, Lookups


class ShiftedTargets:
    """Moves the labels of losses by one place where they are the tokens that were looked up.

    The last place of each sequence has none; it is ignored.

    Args:
        lines: The lines that compute the losses.
        here: Tells the line that is at work.
        tell: Called with a line and what was done when its labels were moved.
    """

    def __init__(
        self,
        lines: Collection[str],
        here: Callable[[], str | None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._lines = lines
        self._here = here
        self._tell = tell
        self._lookups = Lookups()

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function (see `Rewrite`)."""
        name = getattr(func, "__name__", "")
        if name in LOOKUPS:
            self._lookups.add(args, kwargs)
        if name not in CATEGORICAL or (line := self._here()) not in self._lines:
            return NotImplemented
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        tokens = self._lookups.of(given.get("target"))
        if tokens is None or line is None:
            return NotImplemented
        labels = given["target"].reshape(tokens.shape).roll(-1, 1)
        labels[:, -1] = kwargs.get("ignore_index", -100)
        given["target"] = labels.reshape(given["target"].shape)
        self._tell(line, "labels moved to the token behind")
        first, second = given.pop("input"), given.pop("target")
        return func(first, second, *args[2:], **given)
