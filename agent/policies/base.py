"""The one base class of all policies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from agent.episode import Episode


class Policy(ABC):
    """Someone who plays a debugging session: chooses what to try, and when it is enough.

    A policy is one file with one subclass, or an entry point ``agent.policies`` of another package.

    Attributes:
        name: Stable name, as ``agent diagnose --policy`` takes it.
        code: The same; policies have no numbers.
        talks: Whether it speaks with the user in the terminal while it plays.
        confirms: Whether confirming is its own affair: nothing is confirmed after it has played.
    """

    name: ClassVar[str]
    code: ClassVar[str]
    talks: ClassVar[bool] = False
    confirms: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.code = getattr(cls, "name", "")

    @abstractmethod
    def play(self, episode: Episode) -> None:
        """Try treatments on an episode that has been observed and is sick.

        What the best of it is worth is found out afterwards: `Episode.confirm_best` puts what
        recovered the metric to the confirmation, unless the policy has confirmed a fix already.
        Where it is not confirmed, it recovers no more, and the policy is asked to play on.
        """
