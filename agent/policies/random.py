"""Chance."""

from __future__ import annotations

from agent.policies._blind import Blind


class Random(Blind):
    """Draws remedies and their parameters evenly, blind to the symptoms.

    A baseline: at equal budget, random search is known to match published repair tools.
    """

    name = "random"
    sampler = "random"
