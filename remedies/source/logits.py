"""Multiplies the logits that losses are given."""

from __future__ import annotations

import libcst as cst

from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.losses import losses_at
from remedies.source.numbers import times

_LOGITS = ("cross_entropy", "CrossEntropyLoss")
_LOGARITHMS = ("nll_loss", "NLLLoss")


def scale(file: SourceFile, line: int, factor: float) -> None:
    """Multiply what each cross-entropy at a line is given.

    Logarithms of probabilities are normalised again.

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
        code = times(file.code(scores), factor)
        if loss.kind in _LOGARITHMS:
            code = f"({code}).log_softmax(1)"
        _put(file, scores, code)


def _put(file: SourceFile, node: cst.BaseExpression, code: str) -> None:
    new = file.parse(code)
    file.edit(node, lambda _: new)
