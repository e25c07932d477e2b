"""Initialises layers by another scheme."""

from __future__ import annotations

import libcst as cst

from remedies.source.blocks import put_after, statement_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import written_name
from remedies.source.source import Source

_INITIALISERS = "torch.nn.init."
_LAYERS = ("Linear", "Conv")
_LEFT = ("ones_",)


def initialise(source: Source, call: str) -> None:
    """Have the weights of all linear and convolutional layers drawn by a scheme, biases at zero.

    Where the script calls initialisers itself, it calls others. Otherwise a loop over the layers
    is put behind the line that makes the model.

    Args:
        source: The files.
        call: ``nn.init.xavier_normal_(weight)``.

    Raises:
        Unwritable: It is not clear what is initialised, or where the model is made.
    """
    source.open_all()
    changed = [_change(source, file, node, call) for file in source.files for node in _calls(file)]
    if any(changed):
        return
    if changed:
        raise Unwritable("the script initialises its layers in that way already")
    _put_loop(source, call)


def draw(source: Source, attribute: str, call: str) -> None:
    """Have a parameter of the user's own modules drawn where it is made, or set to zeros.

    Args:
        source: The files.
        attribute: That holds it, ``lora_A``.
        call: ``nn.init.xavier_normal_(weight)``.

    Raises:
        Unwritable: There is more than one such place, or none.
    """
    source.open_all()
    resets = [(file, node) for file in source.files for node in _resets(file, attribute)]
    makers = [(file, node) for file in source.files for node in _makers(file, attribute)]
    if len(resets) > 1 or len(resets or makers) != 1:
        raise Unwritable(f"{attribute} is made, or set to zeros, in several places or in none")
    if resets:
        file, reset = resets[0]
        new = file.parse(_of(file, call, file.code(reset.args[0].value)))
        file.edit(reset, lambda _: new)
    else:
        file, made = makers[0]
        put_after(file, made, f"{_of(file, call, f'self.{attribute}')}\n")


def _resets(file: SourceFile, attribute: str) -> list[cst.Call]:
    return [
        call
        for call in _calls(file)
        if isinstance(given := call.args[0].value, cst.Attribute)
        and given.attr.value == attribute
        and (file.imported(call.func) or "").removeprefix(_INITIALISERS) in ("zeros_", "constant_")
    ]


def _makers(file: SourceFile, attribute: str) -> list[cst.SimpleStatementLine]:
    return [
        statement
        for statement in file.nodes(cst.SimpleStatementLine)
        for part in statement.body
        if isinstance(part, cst.Assign) and file.code(part.targets[0].target) == f"self.{attribute}"
    ]


def _of(file: SourceFile, call: str, weight: str) -> str:
    """The call of an initialiser as the file would write it, of that weight."""
    package = written_name(file, "torch.nn")
    return call.replace("nn.init.", f"{package}.init.", 1).replace("(weight", f"({weight}")


def _calls(file: SourceFile) -> list[cst.Call]:
    return [
        call
        for call in file.nodes(cst.Call)
        if (file.imported(call.func) or "").startswith(_INITIALISERS) and call.args
    ]


def _change(source: Source, file: SourceFile, node: cst.Call, call: str) -> bool:
    """Call another initialiser where a layer's weight or bias gets its values."""
    given = node.args[0].value
    held = given.attr.value if isinstance(given, cst.Attribute) else ""
    name = (file.imported(node.func) or "").removeprefix(_INITIALISERS)
    if node.args[0].keyword or "#" in file.code(node) or name in _LEFT:
        raise Unwritable(f"it is not clear what {file.code(node)} is for")
    if isinstance(given, cst.Attribute) and _is_of_another(source, given):
        return False
    if held == "bias":
        wanted = "zeros_(bias)"
    elif held == "weight" or isinstance(given, cst.Name):
        wanted = call.removeprefix("nn.init.")
    else:
        raise Unwritable(f"it is not clear what {file.code(given)} is")
    function, _, arguments = wanted.partition("(")
    if not isinstance(node.func, cst.Attribute):
        raise Unwritable(f"{name} is not called by way of its package")
    rest = arguments.removesuffix(")").partition(", ")[2].replace("'", '"')
    code = f"{file.code(node.func.value)}.{function}({file.code(given)}"
    new = file.parse(f"{code}, {rest})" if rest else f"{code})")
    file.edit(node, lambda _: new)
    return file.code(new) != file.code(node)


def _is_of_another(source: Source, given: cst.Attribute) -> bool:
    """Whether it belongs to a module that is known to be neither linear nor convolutional."""
    holder = given.value.attr.value if isinstance(given.value, cst.Attribute) else ""
    kinds = {
        info.type
        for where, info in source.trace.modules.items()
        if holder and where.rpartition(".")[2] == holder
    }
    return bool(kinds) and not any(kind.startswith(_LAYERS) for kind in kinds)


def _put_loop(source: Source, call: str) -> None:
    roots = [info for info in source.trace.modules.values() if info.parent is None]
    if len(roots) != 1:
        raise Unwritable(f"there are {len(roots)} models")
    file, line = source.place(roots[0].source)
    statement = statement_at(file, line)
    match statement.body:
        case [cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=model))], value=value)]:
            made = isinstance(value, cst.Call)
        case _:
            made, model = False, ""
    if not made or file.mentions("module"):
        raise Unwritable(f"{file.path}:{line} does not just make a model")
    kinds = sorted(
        {info.type for info in source.trace.modules.values() if info.type.startswith(_LAYERS)}
    )
    if not kinds:
        raise Unwritable("the model has no linear or convolutional layers")
    package = written_name(file, "torch.nn")
    names = [f"{package}.{kind}" for kind in kinds]
    tested = names[0] if len(names) == 1 else " | ".join(names)
    drawn = _of(file, call, "module.weight")
    put_after(
        file,
        statement,
        f"for module in {model}.modules():\n"
        f"    if isinstance(module, {tested}):\n"
        f"        {drawn}\n"
        f"        {package}.init.zeros_(module.bias)\n".replace("'", '"'),
    )
