"""R503: another activation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.facts import ActivationInfo
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.calls import CallSite
    from remedies.source.source import Source
    from remedies.surgery import Program

_NAMES = {
    "leaky_relu": "LeakyReLU",
    "selu": "SELU",
    "gelu": "GELU",
    "relu": "ReLU",
    "tanh": "Tanh",
    "silu": "SiLU",
    "elu": "ELU",
}
_LOCAL = ("P701", "P702")
"""Symptoms of single layers. Others are of a whole stack, which one activation does not change."""
_INPLACE = ("leaky_relu", "selu", "relu", "silu", "elu")


class SwapActivation(Remedy):
    """Another activation.

    What it does:
        Puts another activation in the place of one: of its module, or of the call of a function
        at a line.

    When it helps:
        Units of a rectifier went dead: one that has a slope below zero lets them come back.
        Sigmoids and tanh saturate, or let gradients vanish in a deep stack: one that does not
        flatten on both sides lets them through.

    Parameters:
        ``to``: ``leaky_relu``, ``selu``, ``gelu``, ``relu``, ``tanh``, ``silu`` or ``elu``.

    In the script:
        ``nn.ReLU()`` becomes ``nn.LeakyReLU()``, ``torch.sigmoid(x)`` becomes ``F.gelu(x)``, at
        the lines that are named.

    Source:
        Maas et al. 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models;
        Klambauer et al. 2017, Self-Normalizing Neural Networks; Hendrycks and Gimpel 2016,
        Gaussian Error Linear Units.
    """

    code = "R503"
    name = "swap-activation"
    treats = {"P701": 0.6, "P602": 0.6, "P702": 0.4}
    acts_on = "activations"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice(tuple(_NAMES), usual=2)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All activations of the kind that is named, together; then those that are named."""
        symptoms = list(symptoms)
        places = {symptom.where for symptom in symptoms}
        infos = [info for info in trace.activations.values() if _target(info)]
        named = [info for info in infos if places & {info.where, info.layer, info.module}]
        kinds = {info.operation for info in named or infos}
        if not named and places:  # Layers that vanish, say: whatever flattens on both sides.
            kinds = {info.operation for info in infos if info.kind != "rectified"}
        groups = [[info for info in infos if info.operation in kinds]]
        if all(symptom.code in _LOCAL for symptom in symptoms):
            groups.append(named)
        targets = [",".join(dict.fromkeys(map(_target, group))) for group in groups]
        yield from dict.fromkeys(target for target in targets if target)

    def apply(self, program: Program, action: Action) -> None:
        """Swap modules before the first step, and calls whenever they are made."""
        from remedies.surgery.activations import Activation, swap_calls

        name = _function(action)

        def swap(old: nn.Module) -> nn.Module:
            return Activation(name)

        for target in action.targets:
            if "@" not in target:
                program.edit_module(action, target, swap)
        calls = [target for target in action.targets if "@" in target]
        if calls:
            swap_calls(program, action, calls, name)

    def advice(self, action: Action) -> str:
        """What to write instead."""
        name = _function(action)
        return f"Use nn.{_NAMES[name]}() (F.{name}) in place of the activation at {action.target}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Call another constructor or another function at the lines."""
        name = _function(action)
        modules = [target for target in action.targets if "@" not in target]
        for call in source.constructors(modules):
            _write_constructor(call, name)
        for target in action.targets:
            operation, at, line = target.partition("@")
            if at:
                source.replace_function(line, operation, name)


def _target(info: ActivationInfo) -> str:
    """What an activation is called as a target; empty where it cannot be swapped."""
    return "" if info.operation.startswith("rnn_") else info.module or info.call or ""


def _function(action: Action) -> str:
    name = str(action.params["to"])
    if name not in _NAMES:
        raise ValueError(f"{action}: unknown activation (known: {', '.join(_NAMES)})")
    return name


def _write_constructor(call: CallSite, name: str) -> None:
    old = call.name.rpartition(".")[2]
    if old not in ("ReLU", "ReLU6", "Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh"):
        raise Unwritable(f"{call.name} cannot be written as another activation")
    kept = call.arguments("inplace") if call.node.args else {}
    if kept.keys() - {"inplace"} or old == "Hardtanh" and kept:
        raise Unwritable(f"the arguments of {call.name} would have no place")
    call.write(_NAMES[name], [], kept if name in _INPLACE else {})
