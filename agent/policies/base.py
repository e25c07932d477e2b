"""The one base class of all policies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from agent.episode import Episode
    from agent.progress import Part


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

    def pursue(self, episode: Episode, begin: Callable[[Part], None] = lambda part: None) -> None:
        """Play, and confirm the best of what was found, until that is confirmed.

        Where it is not, it recovers no more, and the policy plays on as long as the budget lasts.

        Args:
            episode: Has been observed, and is sick.
            begin: Told what comes next.
        """
        search_on = True
        while search_on:
            begin("search")
            self.play(episode)
            worth = not self.confirms and bool(episode.worth_confirming)
            if episode.findings.fix is not None or not worth:
                return
            begin("confirm")
            search_on = episode.confirm_best()

    @abstractmethod
    def play(self, episode: Episode) -> None:
        """Try treatments on an episode that has been observed and is sick.

        What the best of it is worth is found out afterwards: `Episode.confirm_best` puts what
        recovered the metric to the confirmation, unless the policy has confirmed a fix already.
        May be asked for again, see `pursue`.
        """
