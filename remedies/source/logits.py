"""Multiplies the logits that losses are given."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.losses import losses_at
from remedies.source.numbers import times

_LOGITS = ("cross_entropy", "CrossEntropyLoss")
_LOGARITHMS = ("nll_loss", "NLLLoss")
_FUNCTIONS = ("torch.log_softmax", "torch.nn.functional.log_softmax")


def scale(file: SourceFile, line: int, factor: float) -> None:
    """Multiply what each cross-entropy at a line is given.

    Of logarithms of probabilities it is what they are made of; where the line does not tell, they
    are multiplied and normalised again.

    Args:
        file: The file.
        line: The line.
        factor: By what.

    Raises:
        Unwritable: No such loss is computed there, or what it is given cannot be told.
    """
    losses = [loss for loss in losses_at(file, line) if loss.kind in (*_LOGITS, *_LOGARITHMS)]
    if not losses:
        raise Unwritable(f"{file.path}:{line} does not call a cross-entropy of torch")
    for loss in losses:
        scores = loss.operand(0)
        if loss.kind in _LOGITS:
            _put(file, scores, times(file.code(scores), factor))
        else:
            _scale_logarithms(file, scores, factor)


def _scale_logarithms(file: SourceFile, scores: cst.BaseExpression, factor: float) -> None:
    match scores:
        case cst.Call(func=function, args=[cst.Arg(value=logits, keyword=None, star=""), *_]) if (
            file.imported(function) in _FUNCTIONS
        ):
            _put(file, logits, times(file.code(logits), factor))
        case cst.Call(func=cst.Attribute(value=logits, attr=cst.Name("log_softmax"))):
            _put(file, logits, f"({times(file.code(logits), factor)})")
        case _:
            _put(file, scores, f"({times(file.code(scores), factor)}).log_softmax(1)")


def _put(file: SourceFile, node: cst.BaseExpression, code: str) -> None:
    new = file.parse(code)
    file.edit(node, lambda _: new)
