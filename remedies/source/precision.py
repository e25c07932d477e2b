"""Leaves the weights of a model in float32, and computes it in half precision."""

from __future__ import annotations

import libcst as cst

from remedies.source import dropping
from remedies.source.blocks import forward_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import written_name

_METHODS = {"bfloat16": "bfloat16", "half": "float16"}
_TYPES = {
    "torch.bfloat16": "bfloat16",
    "torch.float16": "float16",
    "torch.half": "float16",
}
_OTHERS = ("mps", "xpu", "hpu", "npu")


def take_cast_out(file: SourceFile, line: int) -> str:
    """Take the half precision out of a call at a line.

    Args:
        file: The file.
        line: The line: it calls ``to``, ``half`` or ``bfloat16`` of a model.

    Returns:
        The type that it asked for, ``bfloat16``.

    Raises:
        Unwritable: The line does not do so exactly once, and plainly.
    """
    casts = [
        (node, kind)
        for node in file.nodes(cst.Call)
        if file.lines(node.func)[1] == line and (kind := _kind(file, node))
    ]
    if len(casts) != 1:
        raise Unwritable(f"{file.path}:{line} casts {len(casts)} times")
    call, kind = casts[0]
    if "#" in file.code(call):
        raise Unwritable("there is a comment within the call")
    kept = [arg for arg in call.args if not _type(file, arg.value)]
    if kept:
        last = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        file.edit(call, lambda now: now.with_changes(args=[*kept[:-1], last]))
        return kind
    parent = next(file.above(call))
    if isinstance(parent, cst.Expr):
        dropping.remove(file, parent)
    elif isinstance(parent, cst.Assign) and dropping.is_itself(file, parent, _owner(call)):
        dropping.remove(file, parent)
    else:
        file.edit(call, lambda now: _owner(now))
    return kind


def put_under_autocast(file: SourceFile, line: int, dtype: str) -> None:
    """Decorate the ``forward`` that is defined at a line.

    Args:
        file: The file.
        line: First line of the definition.
        dtype: What to compute in, ``bfloat16``.

    Raises:
        Unwritable: It is not clear on which device that is, or something is in the way.
    """
    autocast = written_name(file, "torch.autocast")
    wanted = f"{written_name(file, 'torch')}.{dtype}"
    forward = forward_at(file, line)
    written = file.parse(f"{autocast}({_device(file)}, dtype={wanted})")
    decorator = cst.Decorator(decorator=written)
    file.edit(forward, lambda now: now.with_changes(decorators=[*now.decorators, decorator]))


def _kind(file: SourceFile, call: cst.Call) -> str | None:
    """The half precision that a call asks for."""
    if file.imported(call.func) == "torch.set_default_dtype":
        return _type(file, call.args[0].value) if len(call.args) == 1 else None
    match call.func:
        case cst.Attribute(attr=cst.Name(value="to" | "type")):
            kinds = [kind for arg in call.args if (kind := _type(file, arg.value))]
            return kinds[0] if len(kinds) == 1 else None
        case cst.Attribute(attr=cst.Name(value=name)) if not call.args:
            return _METHODS.get(name)
    return None


def _type(file: SourceFile, node: cst.BaseExpression) -> str | None:
    """The half precision that an expression names, or a variable that has one value only."""
    if isinstance(node, cst.Name) and file.imported(node) is None:
        values = file.assigned_to(node.value)
        if len(values) != 1:
            return None
        node = values[0]
    return _TYPES.get(file.imported(node) or "")


def _owner(call: cst.Call) -> cst.BaseExpression:
    return cst.ensure_type(call.func, cst.Attribute).value


def _device(file: SourceFile) -> str:
    """The type of the device that a script computes on, as an expression."""
    names = {node.value for node in file.nodes(cst.Name)}
    texts = {str(node.evaluated_value) for node in file.nodes(cst.SimpleString)}
    if {*names, *texts} & set(_OTHERS):
        raise Unwritable("it is not clear which device the script computes on")
    on_cuda = "cuda" in names or any(text.startswith("cuda") for text in texts)
    if "is_available" in names and on_cuda:
        return f'"cuda" if {written_name(file, "torch.cuda.is_available")}() else "cpu"'
    return '"cuda"' if on_cuda else '"cpu"'
