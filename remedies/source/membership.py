"""Gives an optimizer the parameters that were left out of it."""

from __future__ import annotations

from collections.abc import Collection

import libcst as cst

from remedies.source.calls import CallSite
from remedies.source.errors import Unwritable


def widen(call: CallSite, known: Collection[str]) -> None:
    """Write ``model.parameters()`` where an optimizer is given ``model.head.parameters()``.

    Args:
        call: The call that makes the optimizer.
        known: Paths of the modules of the model that is trained, without the model itself.

    Raises:
        Unwritable: It is given something else.
    """
    first = call.node.args[0] if call.node.args else None
    match first:
        case cst.Arg(
            keyword=None,
            star="",
            value=cst.Call(
                func=cst.Attribute(
                    value=cst.Attribute() as part, attr=cst.Name(value="parameters")
                ),
                args=[],
            ) as given,
        ):
            model = _owner(call, part, known)
            wider = call.file.parse(f"{call.file.code(model)}.parameters()")
            call.file.edit(given, lambda _: wider)
        case _:
            raise Unwritable("the optimizer is not given the parameters of a part of the model")


def _owner(call: CallSite, part: cst.Attribute, known: Collection[str]) -> cst.BaseExpression:
    """What a part belongs to: ``self.model`` of ``self.model.head``, where ``head`` is known."""
    owner: cst.BaseExpression = part
    found, path = None, ""
    while isinstance(owner, cst.Attribute):
        path = f"{owner.attr.value}.{path}".rstrip(".")
        owner = owner.value
        if path in known:
            found = owner
    if found is None:
        raise Unwritable(f"{call.file.code(part)} is no part of the model that was seen")
    return found
