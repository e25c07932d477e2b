"""Takes out what keeps a tensor from its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from remedies.source import dropping
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile

_FOLLOWED = (cst.Attribute, cst.Subscript, cst.Call)


def take_out(file: SourceFile, line: int, kind: str) -> None:
    """Leave a tensor in the graph that a line takes out of it.

    Args:
        file: The file.
        line: The line; of a block, its first.
        kind: ``detach``, ``data`` or ``no_grad``.

    Raises:
        Unwritable: The line does not do so once and plainly.
    """
    if kind == "no_grad":
        return _open_block(file, line)
    cuts = cuts_at(file, line, kind)
    if len(cuts) != 1:
        raise Unwritable(f"{file.path}:{line} has {kind} {len(cuts)} times")
    leave_out(file, cuts[0])


def cuts_at(file: SourceFile, line: int, kind: str) -> list[cst.Call | cst.Attribute]:
    """The expressions of a line that take a tensor out of the graph by ``detach`` or ``data``."""
    return [
        node
        for node in file.everything()
        if isinstance(node, cst.Call | cst.Attribute)
        and _is_cut(node, kind)
        and _line(file, node) == line
    ]


def leave_out(file: SourceFile, cut: cst.Call | cst.Attribute) -> None:
    """Write what is cut instead of the cut.

    Raises:
        Unwritable: There is a comment in it, or it is no value.
    """
    kept = tensor_of(cut)
    parent = next(file.above(cut))
    if "#" in file.code(cut):
        raise Unwritable("there is a comment in the expression")
    if isinstance(parent, cst.Expr | cst.AssignTarget | cst.AugAssign | cst.Del):
        raise Unwritable(f"{file.code(cut)} is not a value there")
    if isinstance(parent, cst.Assign) and dropping.is_itself(file, parent, kept):
        return dropping.remove(file, parent)
    bare = not isinstance(parent, _FOLLOWED) and "\n" not in file.code(kept)
    alone = isinstance(parent, cst.Assign | cst.Return | cst.Arg) and bare
    file.edit(cut, lambda now: _inner(now, alone))


def _is_cut(node: cst.Call | cst.Attribute, kind: str) -> bool:
    match node:
        case cst.Call(func=cst.Attribute(attr=cst.Name(value="detach")), args=[]):
            return kind == "detach"
        case cst.Attribute(attr=cst.Name(value="data")):
            return kind == "data"
    return False


def tensor_of(cut: cst.Call | cst.Attribute) -> cst.BaseExpression:
    """What an expression takes out of the graph."""
    function = cut.func if isinstance(cut, cst.Call) else cut
    return cst.ensure_type(function, cst.Attribute).value


def _line(file: SourceFile, node: cst.CSTNode) -> int:
    return file.lines(node.func if isinstance(node, cst.Call) else node)[1]


def _inner(cut: cst.Call | cst.Attribute, alone: bool) -> cst.BaseExpression:
    inner = tensor_of(cut)
    if alone and not isinstance(inner, cst.Tuple | cst.GeneratorExp):
        return inner.with_changes(lpar=[], rpar=[])
    return inner


def _open_block(file: SourceFile, line: int) -> None:
    blocks = [node for node in file.nodes(cst.With) if file.lines(node)[0] == line]
    items = [item for block in blocks for item in block.items if _is_no_grad(file, item)]
    if len(blocks) != 1 or len(items) != 1 or blocks[0].asynchronous:
        raise Unwritable(f"{file.path}:{line} does not open a block of no_grad")
    block, body = blocks[0], blocks[0].body
    if len(block.items) > 1:
        return file.edit(block, lambda now: now.with_changes(items=_without(block, now, items[0])))
    if not isinstance(body, cst.IndentedBlock) or body.header.comment:
        raise Unwritable("there is a comment on the line, or more than the block")
    if any(empty.comment for empty in body.footer):
        raise Unwritable("there is a comment at the end of the block")
    file.edit(block, _unwrapped)


def _is_no_grad(file: SourceFile, item: cst.WithItem) -> bool:
    call = item.item
    named = isinstance(call, cst.Call) and not call.args and item.asname is None
    return named and file.imported(cst.ensure_type(call, cst.Call).func) == "torch.no_grad"


def _without(block: cst.With, now: cst.With, item: cst.WithItem) -> Sequence[cst.WithItem]:
    place = list(block.items).index(item)
    kept = [each for number, each in enumerate(now.items) if number != place]
    return [*kept[:-1], kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]


def _unwrapped(block: cst.With) -> cst.FlattenSentinel[cst.BaseStatement]:
    first, *others = block.body.body
    above = [*block.leading_lines, *first.leading_lines]  # type: ignore[union-attr]
    return cst.FlattenSentinel([first.with_changes(leading_lines=above), *others])
