"""What the names in an expression are given: by assignments, arguments, defaults and options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from remedies.source.file import SourceFile


@dataclass(frozen=True)
class Given:
    """An expression that may be the value of a name.

    Attributes:
        file: Its file.
        node: The expression.
        is_default: Whether it is one for want of another.
    """

    file: SourceFile
    node: cst.CSTNode
    is_default: bool = False

    @property
    def statement(self) -> cst.CSTNode:
        """The statement that it is in."""
        kinds = (cst.BaseSmallStatement, cst.BaseCompoundStatement)
        return next((up for up in self.file.above(self.node) if isinstance(up, kinds)), self.node)


def names_in(node: cst.CSTNode) -> set[str]:
    """The names in an expression: of ``1 - self.decay``, ``decay``; of ``config["ema"]``, ``ema``.

    A name is looked for in all files, whatever it belongs to: it is up to the value to be right.
    """
    match node:
        case cst.Name(value=name):
            return {name}
        case cst.SimpleString():
            return {str(node.evaluated_value)}
        case cst.Attribute(attr=cst.Name(value=name)):
            return {name}
        case cst.Subscript(value=owner, slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return names_in(key) if isinstance(key, cst.SimpleString) else names_in(owner)
    return {name for child in node.children for name in names_in(child)}


def given_for(file: SourceFile, name: str, files: Sequence[SourceFile]) -> Iterator[Given]:
    """What a name may be given in a file, and its parameter in all files."""
    for node in file.everything():
        match node:
            case cst.Assign():
                yield from (Given(file, value) for value in _assigned(node, name))
            case cst.AnnAssign(target=target, value=cst.BaseExpression() as value):
                if _is_called(target, name):
                    in_class = isinstance(file.scope(node), cst.Module) and any(
                        isinstance(up, cst.ClassDef) for up in file.above(node)
                    )
                    yield Given(file, value, in_class)
            case cst.Arg(keyword=cst.Name(value=key), value=value) if key == name:
                yield Given(file, value)
            case cst.DictElement(key=cst.SimpleString() as key, value=value):
                if key.evaluated_value == name:
                    yield Given(file, value)
            case cst.Call() if _is_option(node, name):
                yield from (
                    Given(file, arg.value)
                    for arg in node.args
                    if arg.keyword is not None and arg.keyword.value == "default"
                )
            case cst.FunctionDef():
                yield from _parameter(file, node, name, files)


def _assigned(assignment: cst.Assign, name: str) -> Iterator[cst.BaseExpression]:
    """The values that an assignment gives a name, as in ``name, other = 1, 2``."""
    value = assignment.value
    for target in (each.target for each in assignment.targets):
        if _is_called(target, name):
            yield value
        elif isinstance(target, cst.Tuple) and isinstance(value, cst.Tuple):
            pairs = zip(target.elements, value.elements, strict=False)
            yield from (own.value for place, own in pairs if _is_called(place.value, name))


def _is_called(target: cst.BaseExpression, name: str) -> bool:
    match target:
        case cst.Name(value=own) | cst.Attribute(attr=cst.Name(value=own)):
            return own == name
        case cst.Subscript():
            return name in names_in(target)
    return False


def _is_option(call: cst.Call, name: str) -> bool:
    """Whether a call adds an option of the command line that is read by a name."""
    match call:
        case cst.Call(func=cst.Attribute(attr=cst.Name(value="add_argument"))):
            options = [a.value for a in call.args if isinstance(a.value, cst.SimpleString)]
            texts = [str(option.evaluated_value) for option in options]
            return any(text.lstrip("-").replace("-", "_") == name for text in texts)
    return False


def _parameter(
    file: SourceFile, function: cst.FunctionDef, name: str, files: Sequence[SourceFile]
) -> Iterator[Given]:
    """What a parameter of a function is given by its place, and its default."""
    params = [*function.params.params, *function.params.kwonly_params]
    places = {param.name.value: place for place, param in enumerate(params)}
    if name not in places:
        return
    default = params[places[name]].default
    if default is not None:
        yield Given(file, default, is_default=True)
    owner = next((up for up in file.above(function) if isinstance(up, cst.ClassDef)), None)
    constructor = function.name.value == "__init__" and owner is not None
    called = owner.name.value if constructor and owner is not None else function.name.value
    place = places[name] - (owner is not None)
    for other in files:
        for call in other.nodes(cst.Call):
            if _is_called(call.func, called) and 0 <= place < len(call.args):
                if all(arg.keyword is None and not arg.star for arg in call.args[: place + 1]):
                    yield Given(other, call.args[place].value)
