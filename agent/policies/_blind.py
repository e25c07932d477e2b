"""What the policies have in common that do not look at symptoms: the baselines to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from agent.policies.base import Policy

if TYPE_CHECKING:
    from agent.episode import Episode
    from agent.study import Sampler


class Blind(Policy):
    """Leaves everything to one Optuna study over the whole registry.

    It sees the metric of each trial, and is stopped when one of them recovers it.
    """

    sampler: ClassVar[Sampler]

    def play(self, episode: Episode) -> None:
        """Try what the sampler proposes, until something recovers the metric."""
        candidates = [option.candidate for option in episode.options()]
        study = episode.study(self.name, candidates, sampler=self.sampler)
        while not any(heard.recovers for heard in episode.heard):
            known = len(episode.heard)
            episode.hear(study, episode.slots)
            if len(episode.heard) == known:
                return
