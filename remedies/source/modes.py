"""Writes ``train()`` where a model is trained, and ``eval()`` where it is evaluated."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import takewhile

import libcst as cst

from remedies.source.blocks import Loop, loops_around, put_before, put_first
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


def train_in_loop(file: SourceFile, line: int, marks: Collection[str]) -> None:
    """Put the model into training mode at the head of a loop, where that is not done there.

    It is the loop that evaluates. Where none does it is the outermost, or the function that is
    given the model.

    Args:
        file: The file.
        line: The line of the backward pass.
        marks: What is called in every evaluation, ``eval`` for one.

    Raises:
        Unwritable: It is not clear which model that is.
    """
    around = loops_around(file, line)
    model = _model(file, around[0])
    loops = list(takewhile(lambda loop: not _makes(file, loop, model), around))
    if not loops:
        raise Unwritable(f"{model} is made within the loop")
    place: Loop | cst.FunctionDef = loops[-1]
    scope = file.scope(place)
    if isinstance(scope, cst.FunctionDef) and _is_given(scope, model):
        place = scope
    place = next((loop for loop in loops if _evaluates(file, loop, marks)), place)
    if f"{model}.train" not in _called(file, place):
        put_first(file, place, f"{model}.train()")


def eval_before(file: SourceFile, line: int) -> None:
    """Put the model into evaluation mode before it computes without gradients.

    Args:
        file: The file.
        line: The line that calls the model.

    Raises:
        Unwritable: The line is neither in a block, nor in a function, without gradients.
    """
    calls = [call for call in file.nodes(cst.Call) if file.lines(call.func)[1] == line]
    models = {file.code(call.func) for call in calls} & _owners(file)
    if len(models) != 1:
        raise Unwritable(f"{file.path}:{line} does not call one model by its name")
    model = min(models)
    call = next(call for call in calls if file.code(call.func) == model)
    for up in file.above(call):
        if isinstance(up, cst.With) and any(_is_no_grad(file, item.item) for item in up.items):
            return put_before(file, up, f"{model}.eval()")
        if isinstance(up, cst.FunctionDef):
            if any(_is_no_grad(file, mark.decorator) for mark in up.decorators):
                return put_first(file, up, f"{model}.eval()")
            break
    raise Unwritable(f"{file.path}:{line} is in no block of no_grad")


def _model(file: SourceFile, loop: Loop) -> str:
    """What is called in a loop, and is known to be a module."""
    found = {*_called(file, loop)} & _owners(file)
    if len(found) != 1:
        raise Unwritable("it is not clear which model is trained in the loop")
    return min(found)


def _makes(file: SourceFile, loop: Loop, name: str) -> bool:
    return name in {file.code(place.target) for place in file.nodes(cst.AssignTarget, loop)}


def _is_given(function: cst.FunctionDef, name: str) -> bool:
    return name in {parameter.name.value for parameter in function.params.params}


def _owners(file: SourceFile) -> set[str]:
    """What methods of modules are called of."""
    names = {"parameters", "train", "eval", "named_parameters"}
    return {
        file.code(call.func.value)
        for call in file.nodes(cst.Call)
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in names
    }


def _evaluates(file: SourceFile, loop: Loop, marks: Collection[str]) -> bool:
    """Whether one of the marks is called in a loop, or by a function that it calls."""
    evaluating = {
        function.name.value
        for function in file.nodes(cst.FunctionDef)
        if not set(marks).isdisjoint(_last(file, function))
    }
    return not evaluating.union(marks).isdisjoint(_last(file, loop))


def _last(file: SourceFile, root: cst.CSTNode) -> Iterator[str]:
    return (name.rpartition(".")[2] for name in _called(file, root))


def _called(file: SourceFile, root: cst.CSTNode) -> Iterator[str]:
    return (file.code(call.func) for call in file.nodes(cst.Call, root))


def _is_no_grad(file: SourceFile, node: cst.CSTNode) -> bool:
    function = node.func if isinstance(node, cst.Call) else node
    return file.imported(function) in ("torch.no_grad", "torch.inference_mode")
