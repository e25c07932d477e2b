"""Puts layers before or behind those that a script makes."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from remedies.source.calls import CallSite
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_CONVOLUTION = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "padding_mode",
)
_SIZES = {
    "Linear": ("in_features", "out_features", "bias"),
    "Conv1d": _CONVOLUTION,
    "Conv2d": _CONVOLUTION,
    "Conv3d": _CONVOLUTION,
}
_SEQUENTIAL = "torch.nn.Sequential"
_REPEATABLE = (cst.Name, cst.Attribute, cst.Integer, cst.BinaryOperation, cst.UnaryOperation)


def sizes(site: CallSite) -> tuple[str, str]:
    """How many features, or channels, a layer takes in and puts out, as it is written.

    Raises:
        Unwritable: It is another layer, or the numbers cannot be written twice.
    """
    kind = site.name.rpartition(".")[2]
    if kind not in _SIZES:
        raise Unwritable(f"the width of {site.name} is not clear")
    given = site.arguments(*_SIZES[kind])
    found = [given.get(name, "") for name in _SIZES[kind][:2]]
    for code in found:
        nodes = site.file.everything_in(code) if code else []
        if not nodes or not all(isinstance(node, _REPEATABLE) for node in nodes):
            raise Unwritable(f"the width of {site.name} cannot be written twice")
    return found[0], found[1]


def put_beside(site: CallSite, before: Sequence[str] = (), behind: Sequence[str] = ()) -> None:
    """Have other layers of `torch.nn` work right before or behind one.

    Where the layer is given to ``nn.Sequential`` they become its neighbours. Otherwise the three
    become an ``nn.Sequential`` in the place of the one.

    Args:
        site: The call that makes the layer.
        before: Calls without their package, ``Dropout(0.5)``.
        behind: The same.

    Raises:
        Unwritable: The script uses the layer, or what holds it, other than by calling it.
    """
    file, node = site.file, site.node
    if "#" in file.code(node):
        raise Unwritable(f"there is a comment within the call of {site.name}")
    package = _package(site)
    arg, call = list(file.above(node))[:2]
    listed = isinstance(arg, cst.Arg) and isinstance(call, cst.Call)
    if listed and isinstance(call, cst.Call) and file.imported(call.func) == _SEQUENTIAL:
        _refuse_uses(file, [*_parents(site), *_variables(file, call)], subscripts=True)
        return _insert(file, arg, package, before, behind)
    _refuse_uses(file, [_holder(info.where) for info in site.modules], subscripts=False)
    own = file.code(node)
    parts = [*(package + code for code in before), own, *(package + code for code in behind)]
    whole = file.parse(f"{package}Sequential({', '.join(parts)})")
    file.edit(node, lambda _: whole)


def _insert(
    file: SourceFile, arg: cst.CSTNode, package: str, before: Sequence[str], behind: Sequence[str]
) -> None:
    call = next(file.above(arg))
    assert isinstance(call, cst.Call) and isinstance(arg, cst.Arg)
    if any(each.star or each.keyword for each in call.args):
        raise Unwritable("not all layers of the nn.Sequential are written one by one")
    between = _between(call)
    is_last = arg is call.args[-1]

    def put(old: cst.Arg) -> cst.FlattenSentinel[cst.Arg]:
        above = [cst.Arg(file.parse(package + code), comma=between) for code in before]
        below = [cst.Arg(file.parse(package + code), comma=between) for code in behind]
        if below and is_last:
            end = _quiet(old.comma)
            below[-1] = below[-1].with_changes(
                comma=end, whitespace_after_arg=old.whitespace_after_arg
            )
            own = _with_comment(between, old.comma)
            old = old.with_changes(comma=own, whitespace_after_arg=cst.SimpleWhitespace(""))
        return cst.FlattenSentinel([*above, old, *below])

    file.edit(arg, put)


def _between(call: cst.Call) -> cst.Comma:
    """What stands between two arguments of a call, without what is said there."""
    space = call.whitespace_before_args
    if isinstance(space, cst.ParenthesizedWhitespace):
        return cst.Comma(whitespace_after=_silent(space))
    comma = call.args[0].comma
    if isinstance(comma, cst.Comma):
        return cst.ensure_type(_quiet(comma), cst.Comma)
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def _quiet(comma: cst.Comma | cst.MaybeSentinel) -> cst.Comma | cst.MaybeSentinel:
    space = comma.whitespace_after if isinstance(comma, cst.Comma) else None
    if isinstance(space, cst.ParenthesizedWhitespace):
        return cst.Comma(whitespace_after=_silent(space))
    return comma


def _with_comment(between: cst.Comma, old: cst.Comma | cst.MaybeSentinel) -> cst.Comma:
    """A comma with what is said behind another on its line."""
    said = old.whitespace_after if isinstance(old, cst.Comma) else None
    space = between.whitespace_after
    if isinstance(said, cst.ParenthesizedWhitespace) and isinstance(
        space, cst.ParenthesizedWhitespace
    ):
        return cst.Comma(whitespace_after=space.with_changes(first_line=said.first_line))
    return between


def _silent(space: cst.ParenthesizedWhitespace) -> cst.ParenthesizedWhitespace:
    line = space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
    return space.with_changes(first_line=line, empty_lines=[])


def _package(site: CallSite) -> str:
    """What stands before the name of a class of `torch.nn` in the file: ``nn.``."""
    if not isinstance(site.node.func, cst.Attribute):
        raise Unwritable(f"{site.name} is not called by way of its package")
    return f"{site.file.code(site.node.func.value)}."


def _parents(site: CallSite) -> list[str]:
    return [_holder(info.parent or "") for info in site.modules]


def _variables(file: SourceFile, call: cst.Call) -> list[str]:
    """What a call is assigned to."""
    up = next(file.above(call))
    targets = up.targets if isinstance(up, cst.Assign) else ()
    return [place.target.value for place in targets if isinstance(place.target, cst.Name)]


def _holder(path: str) -> str:
    """The last part of a path that is no number: the attribute that holds a module."""
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), "")


def _refuse_uses(file: SourceFile, names: Sequence[str], subscripts: bool) -> None:
    """Nothing may ask a layer for its weights, nor a sequence for one of its layers."""
    for node in file.everything():
        held = node.value if isinstance(node, cst.Attribute | cst.Subscript) else None
        used = isinstance(node, cst.Attribute) or subscripts
        name = held.attr.value if isinstance(held, cst.Attribute) else getattr(held, "value", "")
        if name and name in names and used:
            method = isinstance(next(file.above(node)), cst.Call)
            if not (isinstance(node, cst.Attribute) and method):
                raise Unwritable(f"{file.code(node)} would be another one")
