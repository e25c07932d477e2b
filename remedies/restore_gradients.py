"""R805: gradients that were cleared too early are put back for the step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class RestoreGradients(Remedy):
    """Gradients that were cleared too early are put back for the step.

    What it does:
        Keeps what each backward pass leaves in ``.grad``. Where it is gone when the optimizer makes
        its step, without having been used, it is put back. A step between a forward pass and its
        backward pass is made after both.

    When it helps:
        A loop that clears its gradients between ``backward`` and ``step``, in whatever order the
        three are called, moves nothing.

    Parameters:
        None.

    In the script:
        ``optimizer.zero_grad()``, ``loss.backward()``, ``optimizer.step()``, in this order.

    Source:
        The documentation of ``torch.optim``, Taking an optimization step.
    """

    code = "R805"
    name = "restore-gradients"
    treats = {"P806": 0.9}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Keep gradients after each backward pass, and put back what a step lacks."""
        import functools

        import torch
        from torch.nn.modules.module import register_module_forward_pre_hook

        from remedies.surgery.gradient_keeper import GradientKeeper

        keeper = GradientKeeper(lambda: program.report(action, "", "gradients put back for steps"))
        original = torch.autograd.backward

        @functools.wraps(original)
        def backward(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if torch._C._current_graph_task_id() == -1:
                keeper.after_backward()
            return result

        program.each_optimizer(keeper.add)
        program.at_close(register_module_forward_pre_hook(keeper.forward).remove)
        program.replace(torch.autograd, "backward", backward)

    def advice(self, action: Action) -> str:
        """The order of the calls."""
        return (
            "Call optimizer.zero_grad(), loss.backward() and optimizer.step() in this order: "
            "nothing may clear the gradients between backward and step."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Move the step to behind the backward pass, or ``zero_grad`` to behind the step."""
        source.put_step_right()
