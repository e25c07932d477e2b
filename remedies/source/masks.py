"""Keeps attention from what comes later in a sequence."""

from __future__ import annotations

import libcst as cst

from probes._signatures import SCALED_PRODUCT
from remedies.source.calls import CallSite, calls_at
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.functions import call_at
from remedies.source.imports import written_name

_ENCODER = "torch.nn.TransformerEncoder"


def mask_later(file: SourceFile, line: int, operation: str) -> None:
    """Mask what comes later where a line computes attention.

    Args:
        file: The file.
        line: Line of the call.
        operation: ``softmax``, ``scaled_dot_product_attention``, or
            ``multi_head_attention_forward`` where the line calls an encoder of torch.

    Raises:
        Unwritable: There is a mask already, or it is not clear what the call is given.
    """
    if operation == "softmax":
        _mask_scores(file, line)
    elif operation == "scaled_dot_product_attention":
        _mask_product(file, line, operation)
    else:
        _mask_encoder(file, line)


def _mask_scores(file: SourceFile, line: int) -> None:
    _, scores = call_at(file, line, "softmax")
    if not isinstance(scores, cst.Name):
        raise Unwritable("what is given to the softmax is computed on its line")
    torch = written_name(file, "torch")
    later = f"{torch}.ones_like({scores.value}, dtype={torch}.bool).triu(1)"
    new = file.parse(f'{scores.value}.masked_fill({later}, float("-inf"))')
    file.edit(scores, lambda _: new)


def _mask_product(file: SourceFile, line: int, operation: str) -> None:
    calls = calls_at(file, line, f"torch.nn.functional.{operation}")
    if len(calls) != 1:
        raise Unwritable(f"line {line} does not call {operation} exactly once")
    call = CallSite(file, calls[0], operation)
    if call.arguments(*SCALED_PRODUCT).get("attn_mask", "None") != "None":
        raise Unwritable("there is a mask already")
    call.set("is_causal", "True", *SCALED_PRODUCT)


def _mask_encoder(file: SourceFile, line: int) -> None:
    calls = [
        call
        for call in file.nodes(cst.Call)
        if file.lines(call.func)[1] == line and _is_encoder(file, call.func)
    ]
    match calls:
        case [cst.Call(args=[cst.Arg(value=cst.Name(value=given), keyword=None, star="")])]:
            pass
        case _:
            raise Unwritable(f"line {line} does not call an encoder of torch with one name alone")
    places = 1 if "batch_first=True" in file.text else 0
    mask = f"{written_name(file, 'torch.nn')}.Transformer.generate_square_subsequent_mask"
    code = f"{mask}({given}.shape[{places}], device={given}.device)"
    CallSite(file, calls[0], _ENCODER).set("mask", code, "src")


def _is_encoder(file: SourceFile, called: cst.BaseExpression) -> bool:
    """Whether something is only ever an encoder of torch."""
    made = file.assigned_to(file.code(called))
    return bool(made) and all(
        isinstance(value, cst.Call) and file.imported(value.func) == _ENCODER for value in made
    )
