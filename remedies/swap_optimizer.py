"""R307: another optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program

_CALLS = {
    "adamw": ("AdamW", {"lr": "1e-3"}),
    "sgd": ("SGD", {"lr": "0.05", "momentum": "0.9"}),
}


class SwapOptimizer(Remedy):
    """Another optimizer.

    What it does:
        Has the steps of every optimizer made by another one, over the same parameter groups, at a
        rate that is usual for it. Schedules of the script act in proportion. LBFGS, and optimizers
        that unscale gradients themselves, are left alone.

    When it helps:
        The scale of the gradients is far from what the optimizer's rate was made for, or the
        optimizer's own state is what goes wrong.

    Parameters:
        ``to``: ``adamw`` (rate 0.001, decay 0.01) or ``sgd`` (rate 0.05, momentum 0.9).

    In the script:
        Make the optimizer as ``torch.optim.AdamW(model.parameters(), lr=1e-3)``, or as
        ``torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)``.

    Source:
        Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization; Wilson et al. 2017, The
        Marginal Value of Adaptive Gradient Methods.
    """

    code = "R307"
    name = "swap-optimizer"
    treats = {"P304": 0.3}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice(("adamw", "sgd"), usual=1)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Put a stand-in behind the ``step`` of each optimizer that is made."""
        from remedies.surgery.optimizers import StandInOptimizer

        kind = str(action.params["to"])
        if kind not in _CALLS:
            raise ValueError(f"{self.name}: unknown optimizer {kind!r}")
        making: list[bool] = []

        def made(optimizer: Optimizer) -> None:
            if not making:
                StandInOptimizer(
                    optimizer, kind, making, lambda: program.report(action, "", f"now {kind}")
                )

        program.each_optimizer(made)

    def advice(self, action: Action) -> str:
        """Which constructor to write."""
        kind, settings = _CALLS[str(action.params["to"])]
        written = ", ".join(f"{name}={value}" for name, value in settings.items())
        return f"Make the optimizer as torch.optim.{kind}(parameters, {written})."

    def rewrite(self, source: Source, action: Action) -> None:
        """Call the other constructor wherever an optimizer is made."""
        kind, settings = _CALLS[str(action.params["to"])]
        for call in source.optimizers():
            if call.name.rpartition(".")[2] == "LBFGS" or not call.node.args:
                raise Unwritable(f"{call.name} is not swapped")
            given = call.arguments("params", *(f"setting {number}" for number in range(1, 16)))
            parameters = given.get("params", "")
            if not parameters.endswith("parameters()"):
                raise Unwritable("parameter groups may have settings of their own")
            call.write(kind, [parameters], settings)
