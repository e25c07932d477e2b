"""R801: gradients are cleared after they were used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program


class ZeroGradients(Remedy):
    """Gradients are cleared after they were used.

    What it does:
        Sets the gradients of all optimizers to None before the first backward pass after a step,
        and before each one that a closure makes. Backward passes between two steps go on to add up.

    When it helps:
        A loop that never clears its gradients makes every step with the sum of all gradients since
        its beginning.

    Parameters:
        None.

    In the script:
        ``optimizer.zero_grad()`` before ``loss.backward()``.

    Source:
        The documentation of ``torch.optim.Optimizer.zero_grad``.
    """

    code = "R801"
    name = "zero-gradients"
    treats = {"P801": 0.9}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Clear the gradients before the backward pass that follows a step."""
        import functools

        import torch

        original = torch.autograd.backward
        optimizers: dict[int, Optimizer] = {}
        stepping: set[int] = set()
        due = [False]

        def before(optimizer: Optimizer) -> None:
            optimizers[id(optimizer)] = optimizer
            stepping.add(id(optimizer))

        def after(optimizer: Optimizer) -> None:
            stepping.discard(id(optimizer))
            due[0] = True

        @functools.wraps(original)
        def backward(*args: Any, **kwargs: Any) -> Any:
            if (due[0] or stepping) and torch._C._current_graph_task_id() == -1:
                due[0] = False
                for optimizer in optimizers.values():
                    optimizer.zero_grad()
                program.report(action, "", "gradients cleared before the backward pass")
            return original(*args, **kwargs)

        program.around_steps(before, after)
        program.replace(torch.autograd, "backward", backward)

    def advice(self, action: Action) -> str:
        """What to call, and where."""
        return "Call optimizer.zero_grad() before loss.backward()."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``zero_grad`` behind each step."""
        source.clear_gradients()
