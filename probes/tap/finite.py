"""Watches for the first call whose result is not finite though its inputs were."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probes.tap.calls import CallLog
from probes.tap.dense import is_plain
from probes.tap.finite_graph import breaks, leaves_among, nodes_below
from probes.tap.locate import Sources
from probes.tap.losses import LossWatch
from probes.tap.unrecorded import unrecorded
from probes.trace import Event

RISKY = {
    "log": "LogBackward", "log2": "Log2Backward", "log10": "Log10Backward",
    "log1p": "Log1PBackward", "sqrt": "SqrtBackward", "rsqrt": "RsqrtBackward",
    "div": "DivBackward", "__truediv__": "DivBackward", "true_divide": "DivBackward",
    "__rdiv__": "MulBackward", "__rtruediv__": "MulBackward", "reciprocal": "ReciprocalBackward",
    "exp": "ExpBackward", "pow": "PowBackward", "__pow__": "PowBackward",
    "norm": "LinalgVectorNormBackward", "vector_norm": "LinalgVectorNormBackward",
    "std": "StdBackward", "softmax": "SoftmaxBackward", "log_softmax": "LogSoftmaxBackward",
    "acos": "AcosBackward", "asin": "AsinBackward", "atan2": "Atan2Backward",
    "where": "WhereBackward", "cdist": "CdistBackward", "logsumexp": "LogsumexpBackward",
    "square": "PowBackward", "norm_except_dim": "", "logit": "LogitBackward",
}  # fmt: skip
"""Functions that are not finite, or have no finite slope, somewhere; and their autograd nodes."""
_QUIET = {"empty", "empty_like", "new_empty", "masked_fill", "masked_fill_", "full", "full_like",
          "new_full", "tensor", "as_tensor", "where", "fill_", "__setitem__", "log_prob",
          "generate_square_subsequent_mask", "triu", "tril", "to", "__get__"}  # fmt: skip
"""Functions with which programs write infinities on purpose (masks), or that pass them on."""


class FiniteWatch:
    """Finds what made the first NaN or infinity: at probed steps while it happens, else after.

    At probed steps every result is looked at as it comes, and the gradient of every function that
    may have no finite slope. In between only the loss is, when its backward pass begins; what the
    functions of its graph were given is kept there by autograd, and tells which of them it was.

    Args:
        sources: Tells the user's lines.
        calls: Tells of the calls.
        losses: Tells of the losses.
        emit: Takes one ``nonfinite`` event: ``source``, ``operation``, ``direction`` (``forward``
            or ``backward``), ``step``.
        step: Tells the step.
    """

    def __init__(
        self,
        sources: Sources,
        calls: CallLog,
        losses: LossWatch,
        emit: Callable[[Event], None],
        step: Callable[[], int],
    ) -> None:
        self._sources = sources
        self._emit = emit
        self._step = step
        self._on = False
        self._found = False
        self._order: list[tuple[str, str]] = []
        self._known: list[tuple[str, str]] = []
        calls.listen(self._note)
        losses.every.append(self._look_at_loss)

    def switch_on(self) -> None:
        """Watch the step that begins."""
        self._on, self._order = not self._found, []

    def switch_off(self) -> None:
        """Watch the losses alone."""
        self._on = False
        if self._order:
            self._known, self._order = self._order, []

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if not self._on or type(result) is not Tensor or torch._C._current_graph_task_id() != -1:
            return
        if is_plain(result) and result.device.type == "cpu":
            with contextlib.suppress(Exception):
                self._look(getattr(func, "__name__", ""), args, kwargs, result)

    def _look(self, name: str, args: Any, kwargs: dict[str, Any], output: Tensor) -> None:
        if name in RISKY and output.requires_grad:
            source = self._sources.line()
            if source is not None:
                self._order.append((RISKY[name], source))
                self._watch_gradients(name, source, args, output)
        if name in _QUIET or is_finite(output):
            return
        inputs = [t for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
        if all(is_finite(t) for t in inputs if is_plain(t)) or (
            name in ("softmax", "log_softmax") and bool(torch.isnan(output).any())
        ):
            self._tell(name, self._sources.line(), "forward")

    def _watch_gradients(self, name: str, source: str, args: Any, output: Tensor) -> None:
        """See whether a finite gradient of the output makes one of an input that is not."""
        state = {"finite": False}

        def after(gradient: Tensor) -> None:
            with unrecorded():
                state["finite"] = is_plain(gradient) and is_finite(gradient)

        def before(gradient: Tensor) -> None:
            with unrecorded():
                if state["finite"] and not self._found and is_plain(gradient):
                    if not is_finite(gradient):
                        self._tell(name, source, "backward")

        inputs = [t for t in args if isinstance(t, Tensor) and t.requires_grad and is_plain(t)]
        output.register_hook(after)  # type: ignore[no-untyped-call]
        for tensor in inputs:
            if tensor is not output and not tensor.is_leaf:
                tensor.register_hook(before)  # type: ignore[no-untyped-call]

    def _look_at_loss(self, loss: Tensor) -> None:
        if self._found or loss.device.type != "cpu" or not is_plain(loss):
            return
        if math.isfinite(loss.item()):
            return
        with contextlib.suppress(Exception):
            self._search(loss)

    def _search(self, loss: Tensor) -> None:
        """Find the call in the graph of a loss, by the kind of its node and its place in order."""
        known = self._order or self._known
        kinds = {kind for kind, _ in known if kind}
        nodes = sorted(nodes_below(loss), key=lambda node: node._sequence_nr())
        if any(not bool(torch.isfinite(leaf).all()) for leaf in leaves_among(nodes)):
            self._suspect(known)  # Weights that are not finite: an earlier backward pass did it.
            return
        counts: dict[str, int] = {}
        for node in nodes:
            kind = node.name().rstrip("0123456789")
            if kind not in kinds:
                continue
            place = counts[kind] = counts.get(kind, -1) + 1
            lines = [line for known_kind, line in known if known_kind == kind]
            if breaks(node) and place < len(lines):
                self._tell(_operation(kind), lines[place], "forward")
                return

    def _suspect(self, known: list[tuple[str, str]]) -> None:
        """Name a call with an infinite slope, where there is only one line of that kind."""
        steep = ("SqrtBackward", "LinalgVectorNormBackward", "StdBackward", "CdistBackward")
        lines = {line: kind for kind, line in known if kind in steep}
        if len(lines) == 1:
            ((line, kind),) = lines.items()
            self._tell(_operation(kind), line, "backward")

    def _tell(self, operation: str, source: str | None, direction: str) -> None:
        if source is not None:
            self._found, self._on = True, False
            event = {"event": "nonfinite", "operation": operation, "source": source}
            self._emit(event | {"direction": direction, "step": self._step()})


def _operation(kind: str) -> str:
    names = [name for name, node in RISKY.items() if node == kind]
    return names[0] if names else kind


def is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite.

    The sum tells it in one pass over the memory; only where it overflows, each element is asked.
    """
    values = tensor.detach()
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())
