"""R105: a norm before each activation of a stack."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _norms
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor, nn

    from remedies.source.calls import CallSite
    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program

_LAYERS = ("Linear", "Conv")


class InsertNorm(Remedy):
    """A norm before each activation of a stack.

    What it does:
        Normalises what the layers put out, before it goes on: the features of each sample or
        position, and all of a sample after a convolution. The norms have no parameters.

    When it helps:
        Where signals and gradients grow or die out from layer to layer, and where activations
        saturate: what a norm gives is in the range in which activations have a slope, however
        large the weights are.

    Parameters:
        ``kind``: ``layer`` (mean and variance) or ``rms`` (over the root mean square).

    In the script:
        ``torch.sigmoid(layer(x))`` becomes
        ``torch.sigmoid(F.layer_norm(layer(x), (width,)))``; with ``nn.LayerNorm(width)`` it has
        parameters of its own.

    Source:
        Ioffe and Szegedy 2015, Batch Normalization; Ba et al. 2016, Layer Normalization.
    """

    code = "R105"
    name = "insert-norm"
    treats = {"P602": 0.4, "P603": 0.5, "P702": 0.4}
    acts_on = "layers within a stack"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"kind": Choice(("layer", "rms"), usual=1)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All layers but the last that works in a forward pass, together."""
        layers = [
            where
            for where in trace.places("output.mean")
            if where in trace.modules and trace.modules[where].type.startswith(_LAYERS)
        ]
        hidden = layers[:-1]
        if hidden:
            yield ",".join(hidden)

    def apply(self, program: Program, action: Action) -> None:
        """Hook a norm onto every layer."""
        from torch.nn import functional

        kind = _norms.function_name(action)

        def normed(path: str, module: nn.Module, output: Tensor) -> Tensor:
            spatial = "Conv" in type(module).__name__ and output.dim() > 2
            shape = output.shape[1:] if spatial else output.shape[-1:]
            if output.dim() < 2 or shape.numel() < 2:
                return output
            program.report(action, path, f"{kind} on the output of {path}")
            result: Tensor = getattr(functional, kind)(output, shape)
            return result

        def hook(path: str, module: nn.Module) -> nn.Module:
            module.register_forward_hook(lambda own, _, output: normed(path, own, output))
            return module

        for path in action.targets:
            program.edit_module(action, path, partial(hook, path))

    def advice(self, action: Action) -> str:
        """Where to put the norms."""
        name = "nn.LayerNorm" if action.params["kind"] == "layer" else "nn.RMSNorm"
        return (
            f"Put {name}(width) (nn.GroupNorm(1, channels) after a convolution) behind "
            f"{action.target or 'every hidden layer'}, before its activation."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Put a norm without parameters behind the layers, where they are made."""
        from remedies.source.layers import put_beside, sizes

        for call in source.constructors(action.targets):
            put_beside(call, behind=[_written(call, sizes(call)[1], str(action.params["kind"]))])

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that puts the norm on what the layers give."""
        from remedies.source.helpers import hook

        kinds = {source.trace.modules[path].type for path in action.targets}
        whole = all(kind.startswith("Conv") for kind in kinds)
        if not whole and any(kind.startswith("Conv") for kind in kinds):
            raise Unwritable("there are convolutions among the layers, and others")
        norm, shape = (
            _norms.function_name(action),
            "output.shape[1:]" if whole else ("output.shape[-1:]"),
        )
        return hook(source, action.targets, False, lambda name: f"{name}.{norm}(output, {shape})")


def _written(call: CallSite, width: str, kind: str) -> str:
    convolves = "Conv" in call.name
    if convolves and kind == "rms":
        raise Unwritable("torch has no RMS norm over all of a sample")
    if convolves:
        return f"GroupNorm(1, {width}, affine=False)"
    name = "LayerNorm" if kind == "layer" else "RMSNorm"
    return f"{name}({width}, elementwise_affine=False)"
