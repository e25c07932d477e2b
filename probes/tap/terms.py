"""Takes a loss apart into its additive terms, by walking the autograd graph.

The loss of a step is a scalar that was put together from others by adding, subtracting, negating,
scaling by constants, summing or averaging a stack. All of these are linear, so that

    loss = weight_1 * term_1 + weight_2 * term_2 + ...

and what remains when they are walked through are the terms. No name, line or weight has to be told.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from probes.tap.locate import Sources, variables
from probes.tap.scalars import Place, Scalar
from probes.tap.statistics import sketch

_LINEAR = re.compile(
    r"^(Add|Sub|Neg|Div|Mul|ToCopy|Clone|Alias|View|Reshape|UnsafeView|Squeeze|Unsqueeze|Expand)"
    r"Backward\d*$"
)
_JOINED = re.compile(r"^(Stack|Cat)Backward\d*$")
_REDUCED = re.compile(r"^(Sum|Mean)Backward\d*$")
_ASSIGNED = re.compile(r"^(?:self\.)?(\w+)\s*(?::[^=]+)?[-+*/]?=(?!=)")
_MOST_NODES = 10_000

_Key = tuple[Place, ...]
"""Identity of a term: where in the user's code it is computed."""


@dataclass(slots=True)
class LossTerm:
    """One additive term of a loss.

    Attributes:
        name: Its name in the script.
        source: The line that computed it.
        nodes: Its autograd nodes: several where one line adds to the loss in a loop.
        scalars: What was noted when they were computed.
    """

    name: str
    source: str | None
    nodes: list[Node]
    scalars: list[Scalar] = field(default_factory=list)

    @property
    def operation(self) -> str | None:
        """Name of the torch function that computed it, ``huber_loss``, where it is known."""
        return self.scalars[0].operation if self.scalars else None

    @property
    def edges(self) -> list[GradientEdge]:
        """The gradient edges of its nodes."""
        return [GradientEdge(node, 0) for node in self.nodes]


def term_nodes(root: Node, noted: Container[Node] = ()) -> list[Node]:
    """The nodes of a loss's additive terms, in the order in which they are met.

    Args:
        root: Node of the loss.
        noted: Results of the user's own calls. A library function may itself add and divide: what
            it returned is then the term, not what it is made of.
    """
    above: dict[Node, Node | None] = {root: None}
    found: dict[Node, None] = {}
    stack = [root]
    while stack and len(above) < _MOST_NODES:
        node = stack.pop()
        children = _linear_children(node)
        if not children:
            found[_noted_above(node, above, noted)] = None
        for child in reversed(children):
            if child not in above:
                above[child] = node
                stack.append(child)
    return list(found)


def _noted_above(node: Node, above: dict[Node, Node | None], noted: Container[Node]) -> Node:
    upper: Node | None = node
    while upper is not None and upper not in noted:
        upper = above[upper]
    return upper or node


def _linear_children(node: Node) -> list[Node]:
    """The nodes whose weighted sum this node is; empty where it is a term itself."""
    children = [child for child, _ in node.next_functions if child is not None]
    name = node.name()
    if _REDUCED.match(name):
        joined = len(children) == 1 and _JOINED.match(children[0].name())
        return children if joined else []
    if _JOINED.match(name):
        return children
    if not _LINEAR.match(name) or any(_is_leaf(child) for child in children):
        return []
    # A product or quotient of two differentiable factors is not linear: a term of its own.
    if name.startswith(("Mul", "Div")) and len(children) != 1:
        return []
    return children


def _is_leaf(node: Node) -> bool:
    return node.name() == "torch::autograd::AccumulateGrad"


def parameters_below(nodes: Sequence[Node]) -> list[Tensor]:
    """The leaf tensors that the nodes depend on."""
    stack, seen, found = list(nodes), set(nodes), []
    while stack:
        node = stack.pop()
        if _is_leaf(node):
            found.append(node.variable)  # type: ignore[attr-defined]
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                stack.append(child)
    return found


class TermNames:
    """Gives the terms of a loss the names that they have in the script, the same in every run.

    A local variable bound to the term names it; else the variable that its line assigns to, the
    function that returned it, or the torch function that made it.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._names: dict[_Key, str] = {}

    def terms(self, root: Node, scalars: dict[Node, Scalar]) -> list[LossTerm]:
        """The named terms of a loss, from within its ``backward``.

        Args:
            root: Node of the loss.
            scalars: Scalars noted since the step began.
        """
        by_place: dict[_Key, LossTerm] = {}
        for number, node in enumerate(term_nodes(root, scalars)):
            noted = scalars.get(node)
            places = noted.places if noted else ()
            key = places or (Place(TermNames.terms.__code__, number, 0),)
            term = by_place.setdefault(key, LossTerm("", self._source(places), []))
            term.nodes.append(node)
            if noted:
                term.scalars.append(noted)
        self._give_names(by_place, *self._variables(by_place, scalars))
        return list(by_place.values())

    def _source(self, places: _Key) -> str | None:
        return self._sources.place(places[0].code, places[0].line) if places else None

    def _give_names(
        self,
        by_place: dict[_Key, LossTerm],
        held: dict[_Key, str],
        totals: set[str],
    ) -> None:
        lines = [(k[0].code, k[0].line) for k in by_place]
        for key, term in by_place.items():
            if key not in self._names:
                alone = lines.count((key[0].code, key[0].line)) == 1
                name = held.get(key) or self._name_from_line(key, term, alone, totals)
                self._names[key] = self._unique(name, key)
            term.name = self._names[key]

    def _name_from_line(self, key: _Key, term: LossTerm, alone: bool, totals: set[str]) -> str:
        if not term.scalars:
            return "loss"
        text = self._sources.text(key[0].code, key[0].line)
        assigned = _ASSIGNED.match(text)
        if alone and assigned and assigned.group(1) not in totals:
            return assigned.group(1)
        if alone and text.startswith("return"):
            return next((p.code.co_name for p in key if p.code.co_name[0] != "<"), "loss")
        return term.scalars[0].operation

    def _unique(self, name: str, key: _Key) -> str:
        taken = set(self._names.values())
        if name not in taken:
            return name
        candidates = [f"{name}@{key[0].line}"] + [f"{name}@{key[0].line}.{n}" for n in range(2, 99)]
        return next(c for c in candidates if c not in taken)

    def _variables(
        self, by_place: dict[_Key, LossTerm], scalars: dict[Node, Scalar]
    ) -> tuple[dict[_Key, str], set[str]]:
        """Names of local variables by the one term that they hold; and of those with several."""
        place_of = {node: key for key, term in by_place.items() for node in term.nodes}
        held: dict[_Key, str] = {}
        exact: set[_Key] = set()
        totals: set[str] = set()
        for frame in self._sources.stack():
            for name, tensor in _scalar_variables(frame):
                node = tensor.grad_fn
                if node is None:
                    continue
                keys = {place_of[n] for n in term_nodes(node, scalars) if n in place_of}
                if len(keys) > 1:
                    totals.add(name)
                for key in keys if len(keys) == 1 else ():
                    # The variable that holds the bare term, rather than a multiple of it.
                    if key not in held or (node in place_of and key not in exact):
                        held[key] = name
                        exact |= {key} if node in place_of else set()
        return held, totals


def _scalar_variables(frame: FrameType) -> Iterator[tuple[str, Tensor]]:
    for name, value in variables(frame).items():
        items = value.items() if type(value) is dict and len(value) < 100 else ((name, value),)
        for key, item in items:
            if isinstance(item, Tensor) and item.requires_grad and item.numel() == 1:
                yield str(key), item


def term_gradients(
    loss: Tensor, terms: Sequence[LossTerm]
) -> tuple[list[list[float]], list[dict[int, Tensor]]]:
    """The weight and the weighted gradient of every term. Leaves ``.grad`` and the graph alone.

    Returns:
        For each term the weights of its nodes in the loss (d loss / d node), and a `sketch` of its
        gradient by the identity of the parameter: of all terms together, whole ones would take
        as many times the memory of the model.
    """
    edges = [edge for term in terms for edge in term.edges]
    factors = list(torch.autograd.grad(loss, edges, retain_graph=True, allow_unused=True))
    weights, gradients = [], []
    for term in terms:
        own = [factors.pop(0) for _ in term.nodes]
        used = [(e, f) for e, f in zip(term.edges, own, strict=True) if f is not None]
        weights.append([0.0 if f is None else float(f.sum()) for f in own])
        gradients.append(_gradient(used))
    return weights, gradients


def _gradient(weighted: list[tuple[GradientEdge, Tensor]]) -> dict[int, Tensor]:
    parameters = parameters_below([edge.node for edge, _ in weighted])
    if not parameters:
        return {}
    found = torch.autograd.grad(
        [edge for edge, _ in weighted],
        parameters,
        [factor for _, factor in weighted],
        retain_graph=True,
        allow_unused=True,
    )
    return {
        id(parameter): sketch(gradient)
        for parameter, gradient in zip(parameters, found, strict=True)
        if gradient is not None and gradient.layout == torch.strided
    }
