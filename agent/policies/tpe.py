"""Optuna alone."""

from __future__ import annotations

from agent.policies._blind import Blind


class Tpe(Blind):
    """Lets a tree-structured Parzen estimator choose among all remedies, blind to the symptoms.

    A baseline: what the evidence of the probes is worth shows against it. Source: Bergstra et al.,
    Algorithms for Hyper-Parameter Optimization, 2011; as Optuna has it.
    """

    name = "tpe"
    sampler = "tpe"
