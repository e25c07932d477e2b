"""R401: noise on what a module puts out, in training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor, nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class InjectNoise(Remedy):
    """Noise on what a module puts out, in training.

    What it does:
        Adds Gaussian noise to the output of a module in training mode, in proportion to the
        standard deviation of that output. Evaluation is left alone.

    When it helps:
        As a regulariser, against overfitting. When a representation collapses it is often tried to
        "shake the model loose"; it is offered so that the trials can refute it.

    Parameters:
        ``strength``: standard deviation of the noise over that of the output, from 0.02 to 1.

    In the script:
        ``output = output + strength * output.std() * torch.randn_like(output)`` while training.

    Source:
        Bishop 1995, Training with Noise is Equivalent to Tikhonov Regularization.
    """

    code = "R401"
    name = "inject-noise"
    treats = {"P101": 0.1, "P102": 0.1}
    acts_on = "a module"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"strength": Range(0.02, 1.0, default=0.2, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The outermost module that a symptom names; without symptoms, every child of a root."""
        named = [symptom.where for symptom in symptoms if symptom.where in trace.modules]
        roots = {info.where for info in trace.modules.values() if info.parent is None}
        children = [info.where for info in trace.modules.values() if info.parent in roots]
        return named[:1] or children

    def apply(self, program: Program, action: Action) -> None:
        """Hook the noise onto every target."""
        import torch

        strength = float(action.params["strength"])

        def noisy(output: Tensor) -> Tensor:
            program.report(action, action.target, f"noise of {strength:.3g} times the spread")
            return output + strength * output.detach().std() * torch.randn_like(output)

        def disturb(module: nn.Module, inputs: object, output: object) -> object:
            """Add the noise to the output, or to the first of several."""
            first = output[0] if isinstance(output, tuple) and output else output
            if not (isinstance(first, torch.Tensor) and first.is_floating_point()):
                return output
            if not module.training:
                return output
            return (noisy(first), *output[1:]) if isinstance(output, tuple) else noisy(first)

        def hook(module: nn.Module) -> nn.Module:
            module.register_forward_hook(disturb)
            return module

        for path in action.targets:
            program.edit_module(action, path, hook)

    def advice(self, action: Action) -> str:
        """Where to add how much noise."""
        strength = float(action.params["strength"])
        return f"Add noise of {strength:.3g} times its spread to {action.target} in training."

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that adds the noise in training."""
        from remedies.source.helpers import hook
        from remedies.source.numbers import literal

        strength = literal(float(action.params["strength"]))
        noise = f"{strength} * output.detach().std() * output.new_empty(output.shape).normal_()"
        code = f"output + {noise} if module.training else output"
        return hook(source, action.targets, False, lambda name: code)
