"""R802: parameters join an optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes._parts import parts
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program


class OptimiseParameters(Remedy):
    """Parameters join an optimizer.

    What it does:
        Adds the parameters that a loss depends on and that no optimizer holds to the first group of
        the optimizer that makes the next step, before its first step, with all settings of that
        group.

    When it helps:
        Parameters that were made after the optimizer, or left out of it, stay at their initial
        values.

    Parameters:
        None.

    In the script:
        ``torch.optim.Adam([*encoder.parameters(), *head.parameters()])``, made after the modules;
        ``nn.ModuleList`` for layers in a list.

    Source:
        The documentation of ``torch.optim`` on constructing it.
    """

    code = "R802"
    name = "optimise-parameters"
    treats = {"P802": 0.8}
    acts_on = "modules that no optimizer holds"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All modules that were left out, together; those that symptoms name, if there are any."""
        found = [part.where for part in parts(trace, "outside")]
        if found:
            yield ",".join(found)

    def apply(self, program: Program, action: Action) -> None:
        """Add what a loss depends on to the optimizer that steps first."""
        from remedies.surgery.joining import Joining

        joining = Joining(action.targets, program.name_of, program.first_root)

        def before(optimizer: Optimizer) -> None:
            joined: list[Tensor] = joining.join(optimizer)
            if joined:
                program.report(action, action.target, f"{len(joined)} tensors joined the optimizer")

        program.each_optimizer(joining.add)
        program.on_backward(lambda loss, terms: joining.look_at(loss))
        program.around_steps(before)

    def advice(self, action: Action) -> str:
        """What to give to the optimizer."""
        return (
            f"Give the parameters of {action.target or 'the whole model'} to the optimizer, and "
            f"make it after them (layers in a list belong into an nn.ModuleList)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Give the optimizer the parameters of the whole model."""
        source.optimise_all(action.targets)
