"""R201: other weights for the terms of a loss, so that none of them starves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _terms
from remedies.balancing.recipes import RECIPES
from remedies.source.errors import Unwritable
from remedies.space import Choice, Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.balancing.strategy import Strategy
    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program

_SMALLEST, _LARGEST = 1e-6, 1e6
_AROUND = 100.0
_STRATEGIES = (
    "fixed", "equal-gradients", "elements", "uncertainty", "imtl-g", "mgda", "upgrad", "pcgrad",
    "aligned-mtl",
)  # fmt: skip


class RebalanceLosses(_terms.FactorOnTerm):
    """Other weights for the terms of a loss, so that none of them starves.

    What it does:
        Multiplies the gradients of loss terms in every backward pass. The value of the loss that
        the script computes and prints stays what it was.

    When it helps:
        Terms of different scale were added, so that the shared parameters follow one of them and
        the others, among them the one that the metric is about, starve.

    Parameters:
        ``strategy``: ``fixed`` multiplies the target, and it alone, by ``factor``. All others weigh
        all terms of the loss that has the target in it, anew in every step: ``equal-gradients``
        makes the norms of their gradients on the shared parameters equal; ``elements`` multiplies
        each by the root of the number of elements that it is a mean over; ``uncertainty`` learns
        a variance for each, in the place of the script's weights; ``imtl-g``, ``mgda``,
        ``upgrad``, ``pcgrad`` and ``aligned-mtl`` take the weights that TorchJD computes from the
        Gram matrix of the gradients. Where gradients are measured, their summed norms stay what
        the script made them. Without being asked for, the first two are tried.
        ``factor``: with ``fixed``, from 0.000001 to 1000000, searched on a log scale. First comes
        the one that makes the gradients of the strongest and of the starved term equal.

    In the script:
        ``fixed``: multiply the term's weight by the factor where the loss is put together. The
        others are advice, with the lines that do it. Where no weights help, ask what the head is
        for: one number for the whole sample is easier to learn than one for each position, if that
        is all that is used. No trial can say so, since the targets would be others.

    Source:
        Chen et al. 2018, GradNorm; Kendall et al. 2018, Multi-Task Learning Using Uncertainty to
        Weigh Losses; Liu et al. 2021, IMTL; Quinton and Rey 2024, Jacobian Descent for
        Multi-Objective Optimization (TorchJD).
    """

    code = "R201"
    name = "rebalance-losses"
    treats = {
        "P201": 0.8,
        "P202": 0.8,
        "P203": 0.3,
        "P204": 0.4,
        "P205": 0.1,
        "P206": 0.3,
        "P309": 0.3,
    }

    @property
    def space(self) -> Space:
        """See the class."""
        return {
            "strategy": Choice(_STRATEGIES, usual=2),
            "factor": Range(
                _SMALLEST, _LARGEST, default=0.01, log=True, only_with=("strategy", "fixed")
            ),
        }

    def space_near(self, action: Action, trace: Trace) -> Space:
        """Factors within two orders of magnitude of the first one."""
        space = self.space
        factor, first = space["factor"], float(action.params.get("factor", 1.0))
        assert isinstance(factor, Range)
        low, high = max(_SMALLEST, first / _AROUND), min(_LARGEST, first * _AROUND)
        return space | {"factor": replace(factor, low=low, high=high, default=first)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The terms that the symptoms name; without symptoms, every term."""
        named = [symptom.where for symptom in symptoms if symptom.where in trace.terms]
        return list(dict.fromkeys(named)) or _terms.by_share(trace)

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """The factor that makes the gradients of the two terms of a symptom equal."""
        action = super().default(target)
        for symptom in symptoms:
            starved, dominant = (
                symptom.evidence.get(f"{role}_share", 0.0) for role in ("starved", "dominant")
            )
            if symptom.where == target and starved > 0 and dominant > 0:
                ratio = dominant / starved
                factor = ratio if symptom.code == "P202" else 1 / ratio
                equal = min(_LARGEST, max(_SMALLEST, factor))
                return action.model_copy(update={"params": {**action.params, "factor": equal}})
        return action

    def apply(self, program: Program, action: Action) -> None:
        """Scale the gradients of the terms.

        Raises:
            ValueError: The action names no loss term, or no strategy that there is.
        """
        name = str(action.params.get("strategy", "fixed"))
        if name == "fixed":
            return super().apply(program, action)
        if not action.targets or name not in _STRATEGIES:
            raise ValueError(f"{action}: needs a loss term and a known strategy")
        from remedies.balancing.strategy import balance

        balance(program, action, _strategy(name, program))

    def advice(self, action: Action) -> str:
        """By what to multiply which weight, or how to have the weights computed."""
        recipe = RECIPES.get(str(action.params.get("strategy", "fixed")))
        return recipe.format(target=action.target) if recipe else super().advice(action)

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply the term's weight where the loss is put together."""
        if action.params.get("strategy", "fixed") != "fixed":
            raise Unwritable("weights that are computed in every step are for a person to write")
        super().rewrite(source, action)

    def helper(self, source: Source, action: Action) -> Helper:
        """See `FactorOnTerm`; for a fixed factor alone."""
        if action.params.get("strategy", "fixed") != "fixed":
            raise Unwritable("weights that are computed in every step are for a person to write")
        return super().helper(source, action)


def _strategy(name: str, program: Program) -> Strategy:
    from remedies.balancing.aggregation import Aggregation
    from remedies.balancing.elements import ByElements
    from remedies.balancing.equal import EqualGradients
    from remedies.balancing.uncertainty import Uncertainty

    match name:
        case "equal-gradients":
            return EqualGradients()
        case "elements":
            return ByElements()
        case "uncertainty":
            return Uncertainty(program)
        case _:
            return Aggregation(name)
