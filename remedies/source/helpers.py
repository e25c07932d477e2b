"""Short helpers to paste where a rewrite is not safe: hooks that do what the treatment did."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import libcst as cst

from probes.facts import ModuleInfo
from remedies.source.blocks import put_after, statement_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import written_name
from remedies.source.source import Source


@dataclass(frozen=True)
class Helper:
    """A few lines of torch to paste.

    Attributes:
        place: The line that they come behind, ``train.py:41``.
        behind: What that line does, ``makes the model``.
        code: The lines, not indented.
        exact: Whether the variables in it are those of the script, so that it can be pasted as it
            is; otherwise ``model`` and ``optimizer`` stand for what the line makes.
    """

    place: str
    behind: str
    code: str
    exact: bool = True


@dataclass(frozen=True)
class Variable:
    """What a line assigns to a variable.

    Attributes:
        place: The line.
        file: Its file.
        name: The variable.
        exact: Whether it is; otherwise the name stands for what the line makes.
    """

    place: str
    file: SourceFile
    name: str
    exact: bool = True


def paste(source: Source, helper: Helper) -> None:
    """Put the lines of a helper where they belong.

    Raises:
        Unwritable: It is not clear which variable of the script they are about, or a name of
            theirs is used in it.
    """
    if not helper.exact:
        raise Unwritable(f"{helper.place} does not just assign to a variable")
    file, line = source.place(helper.place)
    for name in _bound(helper.code):
        if file.mentions(name):
            raise Unwritable(f"{name} is another thing in {file.path}")
    put_after(file, statement_at(file, line), helper.code)


def model_of(source: Source, paths: Iterable[str]) -> tuple[Variable, list[str]]:
    """The variable that holds the model of these modules, and their paths below it.

    Raises:
        Unwritable: They are of several models, or of one that is not known.
    """
    infos = [source.trace.modules.get(path) for path in paths]
    roots = {source.root(path) for path in paths}
    root = source.trace.modules.get(roots.pop() or "") if len(roots) == 1 else None
    if root is None or None in infos or not infos:
        raise Unwritable("it is not clear which model is changed")
    below = [_below(info, root) for info in infos if info is not None]
    return _assigned(source, root.source, "model"), below


def optimizer_of(source: Source) -> Variable:
    """The variable that holds the only optimizer.

    Raises:
        Unwritable: There are several, or none.
    """
    places = {info.source for info in source.trace.loops.values()}
    if len(places) != 1:
        raise Unwritable(f"there are {len(places)} optimizers")
    return _assigned(source, places.pop(), "optimizer")


def hook(source: Source, paths: Sequence[str], inputs: bool, code: Callable[[str], str]) -> Helper:
    """A helper that hooks an expression onto modules.

    Args:
        source: The user's files.
        paths: The modules.
        inputs: Whether the expression is what the modules take in, a tuple, not what they give.
        code: Gives the expression of ``module``, ``args`` and, for what they give, ``output``,
            from what the file calls `torch.nn.functional`.
    """
    model, below = model_of(source, paths)
    expression = code(written_name(model.file, "torch.nn.functional"))
    method = "register_forward_pre_hook" if inputs else "register_forward_hook"
    given = "module, args" if inputs else "module, args, output"
    function = f"lambda {given}: {expression}"
    if len(below) == 1:
        owner = f'{model.name}.get_submodule("{below[0]}")' if below[0] else model.name
        lines = f"{owner}.{method}(\n    {function}\n)\n"
    else:
        lines = (
            f"for module_path in ({listed(below)}):\n"
            f"    {model.name}.get_submodule(module_path).{method}(\n        {function}\n    )\n"
        )
    return Helper(model.place, "makes the model", lines, model.exact)


def listed(paths: Sequence[str]) -> str:
    """Paths as they are written in a tuple; many that count up, by counting.

    >>> listed(["a", "b.0"])
    '"a", "b.0"'
    >>> listed(["a", "b.0", "b.2", "b.4"])
    '"a", *(f"b.{n}" for n in range(0, 6, 2))'
    """
    parts = []
    for stem, group in groupby(paths, key=lambda path: path.rpartition(".")[0]):
        names = list(group)
        ends = [name.rpartition(".")[2] for name in names]
        numbers = [int(end) for end in ends if end.isdecimal()]
        apart = {later - one for one, later in pairwise(numbers)}
        if len(numbers) == len(names) > 2 and len(apart) == 1:
            (step,) = apart
            places = range(numbers[0], numbers[-1] + step, step)
            counted = str(places).replace("range(0, ", "range(") if step == 1 else str(places)
            parts.append(f'*(f"{stem}.{{n}}" for n in {counted})')
        else:
            parts += [f'"{name}"' for name in names]
    return ", ".join(parts) + ("," if len(parts) == 1 else "")


def _bound(code: str) -> set[str]:
    """The names that lines give a meaning to, but for those within functions and classes."""
    names: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(code)]
    while nodes:
        node = nodes.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
                continue
            case ast.Lambda():
                continue
            case ast.alias(name=name, asname=short):
                names.add(short or name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
        nodes += ast.iter_child_nodes(node)
    return names


def _below(info: ModuleInfo, root: ModuleInfo) -> str:
    if info.where == root.where:
        return ""
    label, found, path = info.where.partition(":")
    return path if found and label == root.where else info.where


def _assigned(source: Source, place: str | None, else_: str) -> Variable:
    """What a line assigns the result of a call to; ``else_`` where that is not all it does."""
    file, line = source.place(place)
    statement: Any = statement_at(file, line)
    match statement.body:
        case [cst.Assign(targets=[cst.AssignTarget(target=target)], value=cst.Call())] if (
            isinstance(target, cst.Name | cst.Attribute)
        ):
            return Variable(place or "", file, file.code(target))
    return Variable(place or "", file, else_, exact=False)
