"""R311: dropout before the linear layers."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class AddDropout(Remedy):
    """Dropout before the linear layers.

    What it does:
        Sets a share of the inputs of linear layers to 0 while they train, and scales up the others.
        The layer that the data enter by is left alone.

    When it helps:
        The model has so many parameters for so few data that it learns them by heart.

    Parameters:
        ``share``: 0.5, 0.2 or 0.1.

    In the script:
        ``nn.Dropout(share)`` before the linear layers that are named.

    Source:
        Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting.
    """

    code = "R311"
    name = "add-dropout"
    treats = {"P351": 0.4}
    acts_on = "linear layers"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"share": Choice((0.5, 0.2, 0.1), usual=2)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All linear layers but the first layer of a model, together."""
        parents = {info.parent for info in trace.modules.values()}
        leaves = [
            info
            for where, info in trace.modules.items()
            if where not in parents and info.parameters
        ]
        found = [info.where for info in leaves[1:] if info.type == "Linear"]
        return [",".join(found)] if found else []

    def apply(self, program: Program, action: Action) -> None:
        """Ask for a hook on every target."""
        share = float(action.params["share"])
        if not action.targets or not 0 < share < 1:
            raise ValueError(f"{action}: needs linear layers and a share between 0 and 1")

        def drop(path: str, module: nn.Module) -> nn.Module:
            from torch.nn import functional

            def before(layer: nn.Module, args: tuple[Any, ...]) -> Any:
                if not layer.training or not args:
                    return None
                program.report(action, path, f"dropout of {share:g} before {path}")
                return (functional.dropout(args[0], share, training=True), *args[1:])

            module.register_forward_pre_hook(before)
            return module

        for path in action.targets:
            program.edit_module(action, path, functools.partial(drop, path))

    def advice(self, action: Action) -> str:
        """Where to put it."""
        share = float(action.params["share"])
        return f"Put nn.Dropout({share:g}) before {action.target or 'the linear layers'}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Put dropout before the layers, where they are made."""
        from remedies.source.layers import put_beside

        for call in source.constructors(action.targets):
            put_beside(call, before=[f"Dropout({float(action.params['share']):g})"])

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that drops a share of what the layers take in."""
        from remedies.source.helpers import hook

        share = f"{float(action.params['share']):g}"
        return hook(
            source,
            action.targets,
            True,
            lambda name: f"({name}.dropout(args[0], {share}, module.training), *args[1:])",
        )
