"""The largest parts of a model of which nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from probes.tap.dense import is_dense_float
from probes.tap.modules import ModuleTree
from probes.tap.statistics import stride

_SAMPLED = 1024
"""Elements of a parameter that are compared."""


@dataclass(slots=True)
class FrozenPart:
    """A module none of whose parameters is trained, or a single parameter.

    Attributes:
        where: Its path.
        module: The module; None for a single parameter.
        parameters: What it consists of.
    """

    where: str
    module: nn.Module | None
    parameters: list[Tensor]


def frozen_parts(tree: ModuleTree, trained: set[int]) -> list[FrozenPart]:
    """The outermost ones below all roots.

    Args:
        tree: Knows and names the modules.
        trained: Identities of the parameters that are trained.
    """
    names = tree.parameter_names()
    return [part for root in tree.roots.values() for part in _below(tree, root, trained, names)]


def _below(
    tree: ModuleTree, module: nn.Module, trained: set[int], names: dict[int, str]
) -> Iterator[FrozenPart]:
    parameters: list[Tensor] = list(module.parameters())
    name = tree.name(module)
    left = [id(p) not in trained for p in parameters]
    if name is None or not any(left):
        return
    if all(left):
        yield FrozenPart(name, module, parameters)
        return
    for own in module.parameters(recurse=False):
        if id(own) not in trained:
            yield FrozenPart(names[id(own)], None, [own])
    for child in module.children():
        yield from _below(tree, child, trained, names)


def sample_of(parameter: Tensor, most: int = _SAMPLED) -> Tensor | None:
    """Some elements of a parameter, always the same ones; None where they cannot be read."""
    if not is_dense_float(parameter):
        return None
    flat = parameter.detach().reshape(-1)
    return flat[:: stride(flat.numel(), most)].float().clone()


def distance(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor | float:
    """Distance of tensors from what they were, in units of the norm that they had."""
    moved: Tensor | float = 0.0
    size: Tensor | float = 0.0
    for first, last in pairs:
        moved = moved + (last - first).square().sum()
        size = size + first.square().sum()
    if isinstance(moved, float) or isinstance(size, float):
        return 0.0
    return (moved / size.clamp(min=1e-24)).sqrt()
