"""R504: new initial weights, of a layer or of the whole model."""

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
    from torch import nn

    from remedies.source.source import Source
    from remedies.surgery import Program

_CALLS = {
    "kaiming": "nn.init.kaiming_normal_(weight, nonlinearity='relu')",
    "xavier": "nn.init.xavier_normal_(weight)",
    "orthogonal": "nn.init.orthogonal_(weight)",
}
_LOCAL = ("P701", "P702")
"""Symptoms of single layers."""


class Reinitialise(Remedy):
    """New initial weights, of a layer or of the whole model.

    What it does:
        Before the first forward pass it draws the weights of linear, convolutional and recurrent
        layers anew, such that they keep the variance of what passes through them, and sets their
        biases to zero. Norms and embeddings stay. The program's random numbers stay the same.

    When it helps:
        Weights that begin too small let signals and gradients die out with depth; too large ones
        let them explode or saturate; biases far below zero make rectifiers dead from the start;
        units that begin with the same weights stay the same.

    Parameters:
        ``scheme``: ``kaiming`` (for rectifiers), ``xavier`` (for sigmoid and tanh) or
        ``orthogonal``.

    In the script:
        ``nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")`` and
        ``nn.init.zeros_(layer.bias)`` in the place of what initialises now.

    Source:
        Glorot and Bengio 2010, Understanding the Difficulty of Training Deep Feedforward Neural
        Networks; He et al. 2015, Delving Deep into Rectifiers; Saxe et al. 2014, Exact Solutions
        to the Nonlinear Dynamics of Learning in Deep Linear Neural Networks.
    """

    code = "R504"
    name = "reinitialise"
    treats = {"P706": 0.8, "P701": 0.5, "P602": 0.5, "P603": 0.5, "P702": 0.5}
    acts_on = "layers, or the whole model"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"scheme": Choice(("kaiming", "xavier", "orthogonal"), usual=2)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole model, then the layers that are named."""
        yield ""
        named = []
        for symptom in symptoms:
            if symptom.code not in _LOCAL:
                continue
            info = trace.activations.get(symptom.where)
            layer = info.layer if info is not None and info.layer else symptom.where
            if layer in trace.modules and trace.modules[layer].parameters:
                named.append(layer)
        if named and len(set(named)) < len(trace.modules):
            yield ",".join(dict.fromkeys(named))

    def apply(self, program: Program, action: Action) -> None:
        """Draw new weights when a model, or the layer, is first seen."""
        import torch

        from remedies.surgery.initialisation import SCHEMES, initialise

        scheme = str(action.params["scheme"])
        if scheme not in SCHEMES:
            raise ValueError(f"{action}: unknown scheme (known: {', '.join(SCHEMES)})")
        generator = torch.Generator()

        def draw(module: nn.Module) -> None:
            generator.manual_seed(torch.initial_seed() % 2**63)
            names = initialise(module, scheme, generator)
            if names:
                program.report(action, action.target, f"{scheme}: {', '.join(names[:4])}, ...")

        def edit(module: nn.Module) -> nn.Module:
            draw(module)
            return module

        for path in action.targets:
            program.edit_module(action, path, edit)
        if not action.targets:
            program.each_root(draw)

    def advice(self, action: Action) -> str:
        """Which initialiser to call."""
        layers = action.target or "every linear, convolutional and recurrent layer"
        call = _CALLS[str(action.params["scheme"])]
        return f"Initialise {layers} with {call} and the biases with nn.init.zeros_(bias)."

    def rewrite(self, source: Source, action: Action) -> None:
        """Call another initialiser where the script calls one, or once the model is made."""
        from remedies.source.initialisers import initialise

        if action.target:
            raise Unwritable("where single layers are initialised is for a person to say")
        initialise(source, _CALLS[str(action.params["scheme"])])
