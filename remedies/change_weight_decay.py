"""R308: another weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies._group_settings import during_steps
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program

_POSITION = {
    "SGD": ("params", "lr", "momentum", "dampening", "weight_decay"),
    "Adam": ("params", "lr", "betas", "eps", "weight_decay"),
    "AdamW": ("params", "lr", "betas", "eps", "weight_decay"),
}


class ChangeWeightDecay(Remedy):
    """Another weight decay.

    What it does:
        Gives the parameter groups another ``weight_decay`` while the optimizer makes its step.
        Groups that the script leaves out of its decay stay left out; where no group has one, all
        get it.

    When it helps:
        The decay outweighs what the data ask for, so that the weights shrink to nothing (towards
        0); or the model learns its training data by heart (upwards).

    Parameters:
        ``to``: the decay: 0, 0.01, 0.0001 or 0.1.

    In the script:
        ``weight_decay=`` where the optimizer is made.

    Source:
        Krogh and Hertz 1991, A Simple Weight Decay Can Improve Generalization; Loshchilov and
        Hutter 2019, Decoupled Weight Decay Regularization.
    """

    code = "R308"
    name = "change-weight-decay"
    treats = {"P305": 0.8, "P351": 0.3}
    acts_on = "program"
    reach = "optimizer"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice((0.0, 1e-2, 1e-4, 1e-1), usual=2)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program; nothing where it is a term of the loss that decays the weights."""
        found = list(symptoms)
        terms = [symptom for symptom in found if symptom.where in trace.terms]
        return [] if found and len(terms) == len(found) else [""]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """None of it; or more, where a model learns its data by heart."""
        action = super().default(target)
        if any(symptom.code == "P351" for symptom in symptoms):
            return action.model_copy(update={"params": {"to": 1e-2}})
        return action

    def apply(self, program: Program, action: Action) -> None:
        """Set the decay before each step and put it back afterwards."""
        decay = float(action.params["to"])
        if decay < 0:
            raise ValueError(f"{action}: the decay must not be negative")

        optimizers: list[Optimizer] = []
        decaying: set[int] = set()

        def changed(group: Mapping[str, Any]) -> dict[str, Any]:
            if not decaying:
                groups = [each for o in optimizers for each in o.param_groups]
                known = {id(each) for each in groups if each.get("weight_decay")}
                decaying.update(known or map(id, groups if decay else ()))
            return {"weight_decay": decay} if id(group) in decaying else {}

        program.each_optimizer(optimizers.append)
        during_steps(program, action, changed)

    def advice(self, action: Action) -> str:
        """Which decay to write."""
        return f"Make the optimizer with weight_decay={float(action.params['to']):.3g}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``weight_decay=`` wherever an optimizer is made."""
        for call in source.optimizers():
            given = call.arguments(*_POSITION.get(call.name.rpartition(".")[2], ("params", "lr")))
            if not given.get("params", "").endswith("parameters()"):
                raise Unwritable("parameter groups may have a decay of their own")
            call.set("weight_decay", f"{float(action.params['to']):g}")
