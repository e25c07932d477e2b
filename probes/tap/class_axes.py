"""Follows the axis of the classes from the layer that made it to the loss, through reshapes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import Node

Shape = tuple[int, ...]

_RESHAPES = re.compile(r"^(View|UnsafeView|Reshape|ReshapeAlias|Squeeze|Unsqueeze)Backward\w*$")
_TURNS = re.compile(r"^(Permute|Transpose|Stack)Backward\d*$")
_SAME_AXES = re.compile(r"^(Slice|Cat|Upsample|\w*Pool|(Constant|Reflection|Replication)Pad)")
_MAKERS = {
    re.compile(r"^(Addmm|Mm|Bmm|Baddbmm|\w*Linear|\w*Rnn\w*)Backward\d*$"): -1,
    re.compile(r"^(\w*Conv\w*|PixelShuffle)Backward\d*$"): 1,
}
"""Layers, and the axis along which they make their outputs."""
_PAIRS = re.compile(r"^(Bmm|Baddbmm)Backward")
_MOST_NODES = 40


@dataclass(frozen=True, slots=True)
class Scramble:
    """A reshape that spreads the classes of one position over several.

    Attributes:
        node: Its node.
        axis: The axis of the classes in what it is given.
        given: The shape of that.
        made: The shape that it makes of it.
    """

    node: Node
    axis: int
    given: Shape
    made: Shape


def scramble(scores: Tensor) -> Scramble | None:
    """The reshape that mixed classes and positions on the way to a loss, if there is one.

    The axis of the classes is the one along which a linear layer or a convolution makes as many
    outputs as the loss takes for classes (its axis 1), followed through whatever leaves axes as
    they are or moves them. Where no layer is found, it is an axis of that size, the last or the
    one behind the batch, of a tensor that is cut into classes across its axes.

    Args:
        scores: The input of a loss, shaped (positions, classes) or (batch, classes, ...).
    """
    if scores.dim() < 2 or scores.shape[1] < 2 or scores.grad_fn is None:
        return None
    nodes = _way(scores.grad_fn)
    first = _last_run(nodes)
    if first == len(nodes):
        return None
    shapes = [_shape(node) for node in nodes[first - 1 :]]
    if math.prod(shapes[0]) != scores.numel():  # One of several outputs, and not the first.
        return None
    classes = scores.shape[1]
    axis = _axis_made(nodes[:first])
    if axis is not None and shapes[0][axis] == classes:
        found = _broken(nodes[first:], shapes, axis)
        is_pair = _PAIRS.match(nodes[0].name())
        return found if found or is_pair else _unmoved(nodes[first:], shapes, axis)
    for axis in dict.fromkeys((1, len(shapes[0]) - 1)):
        if len(shapes[0]) > 2 and shapes[0][axis] == classes and _cuts_across(shapes):
            return _broken(nodes[first:], shapes, axis)
    return None


def axis_after(given: Shape, axis: int, made: Shape) -> int | None:
    """Where an axis is after a reshape; None where its elements are no axis any more."""
    below, size = math.prod(given[axis + 1 :]), given[axis]
    places = (place for place, other in enumerate(made) if other == size)
    return next((place for place in places if math.prod(made[place + 1 :]) == below), None)


def _way(node: Node | None) -> list[Node]:
    """The nodes from a layer to a tensor, or from where the axes are lost from sight."""
    found: list[Node] = []
    while node is not None and len(found) < _MOST_NODES and node._input_metadata:
        found.append(node)
        if any(maker.match(node.name()) for maker in _MAKERS):
            break
        node = _before(node)
    return found[::-1]


def _before(node: Node) -> Node | None:
    """What a node that leaves axes as they are, moves or reshapes them was given."""
    inputs = [child for child, _ in node.next_functions if child is not None]
    inputs = [child for child in inputs if child._input_metadata and child.next_functions]
    if any(kind.match(node.name()) for kind in (_RESHAPES, _TURNS, _SAME_AXES)):
        return inputs[0] if inputs else None
    return next((child for child in inputs if _shape(child) == _shape(node)), None)


def _shape(node: Node) -> Shape:
    return tuple(int(size) for size in node._input_metadata[0].shape)


def _last_run(nodes: Sequence[Node]) -> int:
    """Where the reshapes begin that nothing but element-wise functions follow."""
    place = len(nodes)
    first = place
    while place > 1:
        place -= 1
        if _RESHAPES.match(nodes[place].name()):
            first = place
        elif _shape(nodes[place]) != _shape(nodes[place - 1]) or _TURNS.match(nodes[place].name()):
            break
    return first


def _axis_made(nodes: Sequence[Node]) -> int | None:
    """Along which axis of the last one's result the layer that comes first made its outputs."""
    name = nodes[0].name()
    made = next((axis for maker, axis in _MAKERS.items() if maker.match(name)), None)
    if made is None:
        return None
    axis: int | None = made % len(_shape(nodes[0]))
    for before, node in zip(nodes, nodes[1:], strict=False):
        if axis is None:
            return None
        if _RESHAPES.match(node.name()):
            axis = axis_after(_shape(before), axis, _shape(node))
        elif _TURNS.match(node.name()):
            axis = _turned(node, axis)
    return axis


def _turned(node: Node, axis: int) -> int:
    """Where an axis is after a permutation, or behind a new axis."""
    count = len(_shape(node))
    names = ("_saved_dims", "_saved_dim", "_saved_dim0", "_saved_dim1")
    dims, new, one, other = (_dims(getattr(node, name, ()), count) for name in names)
    if dims:
        return dims.index(axis)
    if new:
        return axis + (axis >= new[0])
    return {one[0]: other[0], other[0]: one[0]}.get(axis, axis)


def _dims(saved: int | Sequence[int], count: int) -> list[int]:
    """Dimensions counted from the first; negative ones are told without their sign."""
    dims = [saved] if isinstance(saved, int) else saved
    return [(dim - 2**64 if dim >= 2**63 else dim) % count for dim in dims]


def _broken(nodes: Sequence[Node], shapes: Sequence[Shape], axis: int) -> Scramble | None:
    """The reshape from which on the axis is none any more, up to the loss."""
    places = [axis_after(shapes[0], axis, shape) for shape in shapes]
    as_many = math.prod(shapes[0][1:]) == shapes[0][axis] ** 2
    if places[-1] is not None or as_many:  # Positions may be what there is to choose from.
        return None
    last = max(number for number, place in enumerate(places) if place is not None)
    found = places[last]
    assert found is not None
    return Scramble(nodes[last], found, shapes[last], shapes[last + 1])


def _unmoved(nodes: Sequence[Node], shapes: Sequence[Shape], axis: int) -> Scramble | None:
    """A reshape to the same shape, where positions are as many as classes and are taken for them.

    A loss that is to choose a position has no need of it.
    """
    if axis_after(shapes[0], axis, shapes[-1]) in (1, None):
        return None
    for node, given, made in zip(nodes, shapes, shapes[1:], strict=False):
        found = axis_after(shapes[0], axis, made)
        if given == made and found is not None and _RESHAPES.match(node.name()):
            return Scramble(node, found, given, made)
    return None


def _cuts_across(shapes: Sequence[Shape]) -> bool:
    """Whether what the loss takes for classes is no part of a single axis of before."""
    given, made = shapes[0], shapes[-1]
    above, below = math.prod(made[1:]), math.prod(made[2:])
    for place, size in enumerate(given):
        inner = math.prod(given[place + 1 :])
        if below % inner == 0 and (inner * size) % above == 0:
            return False
    return True
