"""Names the places at which the program adds noise to what it has computed."""

from __future__ import annotations

import re
import sys
from types import FrameType

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from probes.tap.draws import Addition
from probes.tap.locate import Sources, first_argument
from probes.tap.modules import ModuleTree
from probes.trace import Phase

_VIEWED = re.compile(
    r"^(Expand|View|Reshape|UnsafeView|Unsqueeze|Squeeze|Repeat|T|Transpose|Permute|ToCopy|Clone"
    r"|Alias)Backward\d*$"
)


class NoisePlaces:
    """Names the places at which noise is added, the same in every run.

    A place is a line of the user's code in the forward pass of a module, whose name it has; a
    second line of the same module has its number behind it, ``encoder@57``. Outside of all modules
    it has the name of the function.

    Args:
        sources: Tells the user's lines.
        tree: Names the modules.
    """

    def __init__(self, sources: Sources, tree: ModuleTree) -> None:
        self._sources = sources
        self._tree = tree
        self._names: dict[tuple[str, str], str] = {}

    def here(self, addition: Addition) -> tuple[str, str, Phase] | None:
        """Name, line and phase of the place that the program is at.

        None where it is no place that can starve a model: where the deterministic part depends on
        no parameter, or on nothing but a parameter, unless it was a place earlier in the run.
        """
        frames = self._sources.stack()
        if not frames:
            return None
        module = module_at_work(self._tree)
        inside = module is not None and self._tree.name(module) or frames[0].f_code.co_name
        source = self._sources.place(frames[0].f_code, frames[0].f_lineno)
        training = torch.is_grad_enabled() and (module is None or module.training)
        name = self._names.get((inside, source))
        if name is None:
            if not (training and addition.signal.requires_grad) or _is_parameter(addition.signal):
                return None
            line = source.rpartition(":")[2]
            name = inside if inside not in self._names.values() else f"{inside}@{line}"
            self._names[inside, source] = name
        return name, source, "train" if training else "eval"


def module_at_work(tree: ModuleTree) -> nn.Module | None:
    """The innermost module with a name and a method at work."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = first_argument(frame)
        if isinstance(owner, nn.Module) and tree.name(owner) is not None:
            return owner
        frame = frame.f_back
    return None


def within_forward() -> bool:
    """Whether the forward pass of a module is at work, not a function that is given one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "forward" and isinstance(first_argument(frame), nn.Module):
            return True
        frame = frame.f_back
    return False


def _is_parameter(signal: Tensor) -> bool:
    """Whether it is a parameter, however viewed: the same for all samples by construction."""
    node = signal.grad_fn
    while node is not None and _VIEWED.match(node.name()) and len(node.next_functions) == 1:
        node = node.next_functions[0][0]
    return node is None or is_leaf(node)


def is_leaf(node: Node) -> bool:
    """Whether a node gathers the gradient of a parameter."""
    return node.name() == "torch::autograd::AccumulateGrad"
