"""Finds the call that computes a loss, and what made the thing that is called."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from probes._loss_functions import SIGNED
from remedies.source.calls import CallSite
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.numbers import literal

_FUNCTIONS = "torch.nn.functional."
_CLASSES = "torch.nn."
_SIGNED = SIGNED | {name.title().replace("_", ""): place for name, place in SIGNED.items()}
"""The place of labels that are -1 and 1, of functions and of classes such as `SoftMarginLoss`."""


@dataclass(frozen=True)
class LossCall:
    """A loss of torch that is computed at a line.

    Attributes:
        call: The call with what is predicted and what is wanted.
        made: Where its settings are: the same call of a function, or that of the constructor.
        kind: Name of the function, ``cross_entropy``; of a class, ``CrossEntropyLoss``.
    """

    call: CallSite
    made: CallSite
    kind: str

    @property
    def is_function(self) -> bool:
        """Whether it is a function that is called, not a module."""
        return self.made.node is self.call.node

    def rename(self, kind: str) -> None:
        """Call another loss that takes the same."""
        file, function = self.made.file, self.made.node.func
        if isinstance(function, cst.Attribute):
            file.edit(function, lambda old: old.with_changes(attr=cst.Name(kind)))
            return
        raise Unwritable(f"{self.made.name} is not called by way of its package")

    def operand(self, place: int) -> cst.BaseExpression:
        """What is predicted, 0, or wanted, usually 1.

        Raises:
            Unwritable: It cannot be told, or there is a comment in it.
        """
        args = self.call.node.args
        if len(args) <= place or any(arg.star or arg.keyword for arg in args[: place + 1]):
            raise Unwritable("what the loss is given cannot be told")
        if "#" in self.call.file.code(args[place].value):
            raise Unwritable("there is a comment in what the loss is given")
        return args[place].value


def losses_at(file: SourceFile, line: int) -> list[LossCall]:
    """The losses of torch that a line computes."""
    found = []
    for node in file.nodes(cst.Call):
        if file.lines(node.func)[1] == line or file.lines(node)[0] == line:
            made = node if _kind(file, node) else _constructor(file, node)
            if made is not None:
                name = file.imported(made.func) or ""
                kind = _kind(file, made) or name.removeprefix(_CLASSES)
                found.append(LossCall(CallSite(file, node, name), CallSite(file, made, name), kind))
    return [each for each in found if each.call.node.args]


def loss_at(file: SourceFile, line: int) -> LossCall:
    """The loss of torch that a line computes.

    Raises:
        Unwritable: There is not exactly one, or it is not clear where it is made.
    """
    found = losses_at(file, line)
    if len(found) != 1:
        raise Unwritable(f"{file.path}:{line} does not call one loss of torch")
    return found[0]


def shift_labels(loss: LossCall, low: float, high: float) -> None:
    """Have labels from ``low`` to ``high`` come in as 0 to 1, or as -1 to 1 where these are taken.

    >>> _shifted("y", 1, 2), _shifted("y", -1, 1), _shifted("y", 0, 1, signed=True)
    ('y - 1', '(y + 1) / 2', '2 * y - 1')
    """
    file, place = loss.call.file, _SIGNED.get(loss.kind, 0)
    labels = loss.operand(place or 1)
    code = file.code(labels)
    if not isinstance(labels, cst.Name | cst.Attribute | cst.Call | cst.Subscript):
        code = f"({code})"
    new = file.parse(_shifted(code, low, high, signed=place > 0))
    file.edit(labels, lambda _: new)


def _shifted(code: str, low: float, high: float, signed: bool = False) -> str:
    shifted = code
    if low:
        shifted += f" - {low:g}" if low > 0 else f" + {-low:g}"
    if high - low != 1:
        shifted = f"({shifted}) / {high - low:g}" if low else f"{shifted} / {high:g}"
    if not signed:
        return shifted
    return f"2 * {shifted if shifted == code else f'({shifted})'} - 1"


def weigh(loss: LossCall, weights: list[float], tensor: str, instead: bool = False) -> None:
    """Give the classes of a loss weights.

    Args:
        loss: The loss.
        weights: One for each class.
        tensor: How the file writes ``torch.tensor``.
        instead: Whether they take the place of the weights that it has.

    Raises:
        Unwritable: It has weights already, or takes none.
    """
    file = loss.made.file
    binary = "binary_cross_entropy_with_logits", "BCEWithLogitsLoss"
    given = {arg.keyword.value for arg in loss.made.node.args if arg.keyword}
    settings = loss.made.node.args[2:] if loss.is_function else loss.made.node.args
    taken = {"pos_weight"} if instead else {"weight", "pos_weight"}
    if given & taken or any(arg.keyword is None for arg in settings):
        raise Unwritable("the loss has weights already, as it seems")
    if file.mentions("device", "cuda"):
        raise Unwritable("on which device the weights have to be is for a person to say")
    if loss.kind in binary:
        code = f"{tensor}({literal(weights[1] / weights[0])})"
        return loss.made.set("pos_weight", code)
    if loss.kind not in ("cross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss"):
        raise Unwritable(f"{loss.kind} takes no weights of classes")
    loss.made.set("weight", f"{tensor}([{', '.join(map(literal, weights))}])")


def scale_threshold(loss: LossCall, factor: float) -> None:
    """Multiply the threshold of a Huber loss.

    Raises:
        Unwritable: It is another loss, or the threshold is given without its name.
    """
    names = {"huber_loss": "delta", "HuberLoss": "delta"}
    names |= {"smooth_l1_loss": "beta", "SmoothL1Loss": "beta"}
    settings = loss.made.node.args[2:] if loss.is_function else loss.made.node.args
    if loss.kind not in names or any(arg.keyword is None for arg in settings):
        raise Unwritable(f"the threshold of {loss.kind} is not clear")
    if names[loss.kind] in [arg.keyword.value for arg in settings if arg.keyword]:
        return loss.made.scale(names[loss.kind], factor)
    loss.made.set(names[loss.kind], literal(factor))


def _kind(file: SourceFile, call: cst.Call) -> str:
    name = file.imported(call.func) or ""
    kind = name.removeprefix(_FUNCTIONS)
    return kind if kind != name and _is_loss(kind) else ""


def _is_loss(kind: str) -> bool:
    return kind.endswith(("_loss", "cross_entropy", "_with_logits", "kl_div"))


def _constructor(file: SourceFile, call: cst.Call) -> cst.Call | None:
    """The call that made what is called, if it is a loss of torch."""
    if isinstance(call.func, cst.Call):
        values: list[cst.BaseExpression] = [call.func]
    else:
        values = file.assigned_to(file.code(call.func))
    made = [value for value in values if isinstance(value, cst.Call)]
    losses = [v for v in made if (file.imported(v.func) or "").startswith(_CLASSES)]
    losses = [v for v in losses if (file.imported(v.func) or "").endswith("Loss")]
    return losses[0] if len(values) == len(losses) == 1 else None
