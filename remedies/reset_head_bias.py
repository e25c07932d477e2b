"""R502: the bias of the output layer, neutral or at the log prior of the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _classes, _heads
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor, nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class ResetHeadBias(Remedy):
    """The bias of the output layer, neutral or at the log prior of the labels.

    What it does:
        Sets the bias of the module that makes the predictions before the first update: to zero, or
        to the logarithms of how often the labels occur in the first batch that is trained on.

    When it helps:
        An output layer was biased against the frequent class on purpose, or a rare class costs the
        first epochs because the layer has to learn the frequencies first.

    Parameters:
        ``to``: ``zero``, or ``log-prior`` (cross entropy: log frequency, each class counted once
        more than it occurs; binary cross entropy: the log odds).

    In the script:
        ``nn.init.zeros_(model.head.bias)``, or ``model.head.bias.copy_(frequency.log())`` without
        gradient, after the model is made.

    Source:
        Lin et al. 2017, Focal Loss for Dense Object Detection, section 3.3, on prior probability as
        initialisation.
    """

    code = "R502"
    name = "reset-head-bias"
    treats = {"P501": 0.1}
    acts_on = "the output layer"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice(("zero", "log-prior"))}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The layer with parameters that is the last at work in a forward pass."""
        return _heads.head(trace)

    def apply(self, program: Program, action: Action) -> None:
        """Set the bias of every target."""
        import torch

        to = action.params["to"]
        if to not in ("zero", "log-prior"):
            raise ValueError(f"{action}: the bias is set to zero or log-prior")

        def set_bias(module: nn.Module, bias: Tensor, values: Tensor) -> None:
            if not torch.equal(bias, values):
                bias.data.copy_(values)
                program.report(action, action.target, f"bias now {to}")

        def reset(module: nn.Module) -> nn.Module:
            bias = getattr(module, "bias", None)
            if not isinstance(bias, torch.Tensor):
                return module
            if to == "zero":
                set_bias(module, bias, torch.zeros_like(bias))
            else:
                program.rewrite_calls(_once_labels_are_known(bias, set_bias, module))
            return module

        for path in action.targets:
            program.edit_module(action, path, reset)

    def advice(self, action: Action) -> str:
        """How to set it."""
        if action.params["to"] == "zero":
            return f"Set the bias of {action.target} to zero: nn.init.zeros_(...bias)."
        return f"Set the bias of {action.target} to the log frequency of the labels."

    def helper(self, source: Source, action: Action) -> Helper:
        """The bias set once the model is made; a log prior, by the shares that were seen."""
        from remedies.source.helpers import Helper, model_of
        from remedies.source.imports import written_name
        from remedies.source.numbers import literal

        model, below = model_of(source, action.targets)
        bias = f'{model.name}.get_submodule("{below[0]}").bias'
        if action.params["to"] == "zero":
            code = f"{written_name(model.file, 'torch.nn.init.zeros_')}({bias})\n"
            return Helper(model.place, "makes the model", code, model.exact)
        places = source.trace.places("label.share.0")
        if len(places) != 1 or len(below) != 1:
            raise Unwritable("there are several losses, or output layers")
        shares = ", ".join(map(literal, _classes.shares(source.trace, places[0])))
        tensor = written_name(model.file, "torch.tensor")
        code = f"{bias}.data.copy_({tensor}([{shares}]).log())\n"
        return Helper(model.place, "makes the model", code, model.exact)


def _once_labels_are_known(
    bias: Tensor, set_bias: Callable[[nn.Module, Tensor, Tensor], None], module: nn.Module
) -> Callable[..., Any]:
    """Looks at calls of losses until one has labels that the bias can be set by."""
    from remedies.surgery.priors import log_prior

    done = False

    def watch(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal done
        if not done:
            prior = log_prior(func, args, kwargs, bias.numel())
            if prior is not None:
                done = True
                set_bias(module, bias, prior.to(bias))
        return NotImplemented

    return watch
