"""Gives a moving average of the weights another decay."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from remedies.source.bindings import Given, given_for, names_in
from remedies.source.blocks import statement_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.numbers import literal

_OF_TORCH = {
    "torch.optim.swa_utils.get_ema_multi_avg_fn",
    "torch.optim.swa_utils.get_ema_avg_fn",
}
_USUAL = 0.999
_LIKE = 0.02
"""Share of 1 - decay by which a number may differ from what was measured."""
_ROUGHLY = 0.2
"""The same where it was told from one evaluation to the next."""
_LERPS = {"lerp", "lerp_", "_foreach_lerp", "_foreach_lerp_"}
_PRODUCTS = {"mul", "mul_", "_foreach_mul", "_foreach_mul_"}
_SUMS = {"add", "add_", "_foreach_add", "_foreach_add_", "sub", "sub_"}


@dataclass(frozen=True)
class _Measured:
    """What an average was seen to do.

    Attributes:
        share: Which share of its distance it went, 1 - decay.
        like: Share of this by which it may be wrong.
    """

    share: float
    like: float

    def kind(self, number: float) -> str | None:
        """Whether a number is the decay, or one minus the decay."""
        if self._is_like(1 - number):
            return "decay"
        return "share" if self._is_like(number) else None

    def _is_like(self, share: float) -> bool:
        return abs(share - self.share) <= self.like * self.share


def set_share(
    places: Iterable[tuple[SourceFile, int]],
    files: Sequence[SourceFile],
    share: float,
    new: float,
) -> None:
    """Write another decay in the place of the one that an average was seen to have.

    It is looked for in what averages are computed with, the weight of ``lerp_`` for one, and in
    what the names in there are given: by assignments, arguments and defaults.

    Args:
        places: The lines that update the average.
        files: The files of the program, those of the lines among them.
        share: Which share of its distance the average was seen to go, 1 - decay.
        new: Which share it is to go.

    Raises:
        Unwritable: It is not written as a number, or in several places.
    """
    within = [(file, _around(file, line)) for file, line in places]
    nearby = [Given(file, node) for file, root in within for node in _weights(file, root)]
    beginnings = nearby or [Given(file, node) for file in files for node in _weights(file)]
    measured = _Measured(share, _LIKE if within else _ROUGHLY)
    found = _numbers(beginnings, files, measured)
    # A default that nobody asks for stays as it is.
    chosen = [each for each in found if not each.is_default] or found
    sure = {id(node) for each in nearby for node in _literals(each)}
    if not chosen:
        _set_usual(files, measured, new)
    elif len({id(each.statement) for each in chosen if id(each.node) not in sure}) > 1:
        raise Unwritable("the decay of the average is written in several places")
    for each in chosen:
        _replace(each, measured, new)


def _around(file: SourceFile, line: int) -> cst.CSTNode:
    """The function that a line is in, or the loop, or its statement alone."""
    statement = statement_at(file, line)
    kinds = (cst.FunctionDef, cst.For)
    return next((up for up in file.above(statement) if isinstance(up, kinds)), statement)


def _numbers(
    beginnings: list[Given], files: Sequence[SourceFile], measured: _Measured
) -> list[Given]:
    """The numbers that are the decay, or one minus it, in these expressions and behind them."""
    queue = list(beginnings)
    # Beside a decay there may be a number that makes one with it.
    queue += [Given(each.file, node) for each in beginnings for node in _literals(each)]
    asked: set[str] = set()
    found: dict[int, Given] = {}
    for each in queue:
        for node in each.file.everything(each.node):
            if isinstance(node, cst.Float | cst.Integer) and measured.kind(_value(node)):
                found[id(node)] = Given(each.file, node, each.is_default)
        for name in names_in(each.node) - asked:
            asked.add(name)
            queue += (given for file in files for given in given_for(file, name, files))
    return list(found.values())


def _literals(given: Given) -> Iterator[cst.BaseExpression]:
    """The numbers in the statement that an expression is in."""
    for node in given.file.everything(given.statement):
        if isinstance(node, cst.Float | cst.Integer):
            yield node


def _weights(file: SourceFile, root: cst.CSTNode | None = None) -> Iterator[cst.BaseExpression]:
    """What averages are weighed by in a file, or in a part of it."""
    for node in file.everything(root):
        match node:
            case cst.Call():
                yield from _weights_of(file, node)
            case cst.BinaryOperation(
                left=cst.BinaryOperation(operator=cst.Multiply()) as one,
                operator=cst.Add(),
                right=cst.BinaryOperation(operator=cst.Multiply()) as other,
            ):
                yield from (one.left, one.right, other.left, other.right)
            case cst.AugAssign(value=cst.BinaryOperation(operator=cst.Multiply()) as step):
                yield from (step.left, step.right)


def _weights_of(file: SourceFile, call: cst.Call) -> Iterator[cst.BaseExpression]:
    if file.imported(call.func) in _OF_TORCH:
        yield from (arg.value for arg in call.args)
    name = _name(call)
    for place, arg in enumerate(call.args):
        key = arg.keyword.value if arg.keyword else None
        last = key is None and place == len(call.args) - 1
        if (name in _LERPS and (last or key == "weight")) or (name in _PRODUCTS and last):
            yield arg.value
        if name in _SUMS and key == "alpha":
            yield arg.value
        match arg.value:
            case cst.BinaryOperation(operator=cst.Multiply()) as step if name in _SUMS:
                yield from (step.left, step.right)


def _name(call: cst.Call) -> str:
    match call.func:
        case cst.Attribute(attr=cst.Name(value=name)) | cst.Name(value=name):
            return name
    return ""


def _set_usual(files: Iterable[SourceFile], measured: _Measured, new: float) -> None:
    """Name a decay where torch's usual one was taken."""
    calls = [
        (file, call)
        for file in files
        for call in file.nodes(cst.Call)
        if file.imported(call.func) in _OF_TORCH and not call.args
    ]
    if len(calls) != 1 or measured.kind(_USUAL) != "decay":
        raise Unwritable("the decay of the average is not written as a number")
    (file, call) = calls[0]
    args = [cst.Arg(file.parse(f"{1 - new:.6g}"))]
    file.edit(call, lambda old: old.with_changes(args=args))


def _replace(given: Given, measured: _Measured, new: float) -> None:
    decay = measured.kind(_value(given.node)) == "decay"
    replacement = given.file.parse(f"{1 - new:.6g}" if decay else literal(new))
    given.file.edit(given.node, lambda _: replacement)


def _value(node: cst.CSTNode) -> float:
    return float(ast.literal_eval(node.value)) if isinstance(node, cst.Float | cst.Integer) else 0.0
