"""R501: modules that do nothing until the rest has learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes._branches import Branch, branches
from probes.symptom import Symptom
from probes.trace import Trace
from probes.untrained_branch import OUTWEIGHS
from remedies.base import Remedy
from remedies.space import Choice, Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program

_FIRST, _USUAL, _LAST = 0.1, 0.3, 0.5
"""Shares of the run: the earliest start of a module, the one to try first, the latest.

With the latest, too, a module that is let in gradually takes part in full before the run ends.
"""


class StageModules(Remedy):
    """Modules that do nothing until the rest has learned.

    What it does:
        Mutes the output of modules up to an optimizer step. A module that returns one of its inputs
        plus something returns that input alone; any other one returns zeros of the same structure.
        Weights get no gradient while they are muted.

    When it helps:
        New modules with random weights (attention to a context, an injector, predicted weight
        changes) put noise into the features from the first step on. Where it is so loud that the
        base never learns, it has to learn before they come in. Delaying their losses is not enough.

    Parameters:
        ``until``: the optimizer step from which on they take part; 30 % of the run at first.
        ``ramp``: ``linear``, rising from nothing at that step to the whole at twice that step, or
        ``hard``, at once, which may only put the collapse off. ``fallback``, for a module with a
        stream and a second input: ``film``, a scale and a shift from the average of the second
        input stand in for it (new parameters, no change at first), or ``skip``.

    In the script:
        ``hidden = hidden + self.attention(hidden, context)`` becomes
        ``if self.active: hidden = hidden + ...`` with ``model.active = epoch > 5`` in the loop.

    Source:
        Perez et al. 2018, FiLM; Bachlechner et al. 2021, ReZero; the investigation of a background
        collapse.
    """

    code = "R501"
    name = "stage-modules"
    treats = {"P501": 0.6, "P502": 0.2}
    acts_on = "modules that add to a stream of features"
    reach = "optimizer"
    separable = True

    @property
    def space(self) -> Space:
        """See the class."""
        return {
            "until": Range(1.0, 1e6, default=100.0, log=True),
            "ramp": Choice(("linear", "hard")),
            "fallback": Choice(("film", "skip")),
        }

    def space_for(self, trace: Trace) -> Space:
        """The starts within the run; the fallback where a module can have one."""
        space = self.space
        if trace.steps:
            low, usual, high = (max(1.0, share * trace.steps) for share in (_FIRST, _USUAL, _LAST))
            space["until"] = Range(low, max(high, low + 1), default=float(round(usual)))
        if not any(branch.inputs > 1 for branch in branches(trace)):
            del space["fallback"]
        return space

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All branches that outweigh their stream while they are random; then each one alone.

        All branches where there is none that does.
        """
        found = branches(trace)
        loud = [branch for branch in found if branch.ratio >= OUTWEIGHS] or found
        names = [branch.where for branch in loud if not _within_another(branch, loud)]
        if len(names) > 1:
            yield ",".join(names)
        yield from names

    def apply(self, program: Program, action: Action) -> None:
        """Hook the muting onto every target."""
        from remedies.surgery.staging import Film, Staging

        until = float(action.params["until"])
        ramp = str(action.params.get("ramp", "hard"))
        fallback = str(action.params.get("fallback", "skip"))
        if until <= 0 or ramp not in ("hard", "linear") or fallback not in ("film", "skip"):
            raise ValueError(f"{action}: no such start, ramp or fallback")

        def share() -> float:
            return _share(program.step, until, ramp)

        def stage(module: nn.Module) -> nn.Module:
            def adopt(film: Film) -> None:
                program.adopt_parameters(module, film)

            def tell(*_: object) -> None:
                told.remove()
                program.report(action, action.target, f"muted until step {until:.0f}")

            told = module.register_forward_hook(tell)
            staging = Staging(share, adopt if fallback == "film" else None)
            module.register_forward_hook(staging, with_kwargs=True)
            return module

        for path in action.targets:
            program.edit_module(action, path, stage)

    def advice(self, action: Action) -> str:
        """Which modules to leave out until when."""
        until = float(action.params["until"])
        how = "gradually, the whole at twice that step" if _linear(action) else "at once"
        film = ""
        if action.params.get("fallback") == "film":
            film = (
                " Where one gives its input plus something from a second input, a scale and a shift"
                " from the average of the second input stand in for it until then."
            )
        return (
            f"Leave {action.target} out of the forward pass until optimizer step {until:.0f} (zeros"
            f" in place of what it adds), then let it in {how}.{film}"
        )

    def helper(self, source: Source, action: Action) -> Helper:
        """Hooks that count the steps."""
        from remedies.source.staging_helper import staging

        until, film = float(action.params["until"]), action.params.get("fallback") == "film"
        return staging(source, action.targets, until, _linear(action), film)


def _linear(action: Action) -> bool:
    return action.params.get("ramp") == "linear"


def _share(step: int, until: float, ramp: str) -> float:
    """How much of a module is let in at a step."""
    if ramp == "hard":
        return float(step >= until)
    return min(1.0, max(0.0, (step - until) / until))


def _within_another(branch: Branch, others: Iterable[Branch]) -> bool:
    return any(branch.where.startswith(other.where + ".") for other in others)
