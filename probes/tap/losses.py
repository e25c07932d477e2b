"""Watches calls of ``backward``: the loss, its terms, and what each one asks of the parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from probes.tap.calls import CallLog
from probes.tap.locate import Sources
from probes.tap.scalars import ScalarLog
from probes.tap.statistics import Collector, dot
from probes.tap.steadiness import Steadiness
from probes.tap.terms import LossTerm, TermNames, term_gradients
from probes.tap.transforms import bare, outside_transforms
from probes.tap.unrecorded import unrecorded
from probes.tap.wrap import wrap
from probes.trace import Event

_MOST_TERMS = 12
"""Terms of one loss whose gradients are taken apart; each costs one backward pass."""

TermListener = Callable[[Tensor, list[LossTerm]], None]


class LossWatch:
    """Wraps `torch.autograd.backward`, by which ``loss.backward()`` goes, too.

    Args:
        sources: Tells the user's lines.
        calls: Tells of the scalars that are computed.
        collector: Takes the signals.
        emit: Takes a ``term`` event for each new term.
    """

    def __init__(
        self,
        sources: Sources,
        calls: CallLog,
        collector: Collector,
        emit: Callable[[Event], None],
    ) -> None:
        self._collector = collector
        self._emit = emit
        self._names = TermNames(sources)
        self._known: set[str] = set()
        self._kinds: dict[frozenset[str], int] = {}
        self._probing = False
        self._seen: set[str] = set()
        self._log = ScalarLog(sources)
        self._steadiness = Steadiness()
        self.listeners: list[TermListener] = []
        self.probed: list[TermListener] = []
        self.every: list[Callable[[Tensor], None]] = []
        calls.listen(self._log.note)

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        return wrap(torch.autograd, "backward", before=self._before_backward)

    def switch_on(self) -> None:
        """Take the losses of the next step apart."""
        self._probing = True
        self._seen = set()

    def switch_off(self) -> None:
        """Leave the losses alone, unless a listener needs their terms."""
        self._probing = False

    def look_at(self, tensors: Any) -> None:
        """Look at what a gradient is asked of, before it is computed."""
        self._before_backward(tensors)

    def forget(self) -> None:
        """Let go of what was noted in a step that is over."""
        self._log.forget()

    def _before_backward(self, tensors: Any, *args: Any, **kwargs: Any) -> None:
        if torch._C._current_graph_task_id() != -1:
            return  # within another backward pass: a recomputed segment is no loss
        losses = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        with outside_transforms(), torch._C.DisableTorchFunction():
            scalars = [loss for loss in map(bare, losses) if _is_scalar(loss)]
            for look in self.every:
                for loss in scalars:
                    look(loss)
            if not (self._probing or self.listeners):
                return
            for loss in scalars:
                if loss.grad_fn is not None:
                    self._look_at(loss, self._names.terms(loss.grad_fn, self._log.scalars))

    def _look_at(self, loss: Tensor, terms: list[LossTerm]) -> None:
        for term in terms:
            if term.name not in self._known:
                self._known.add(term.name)
                self._emit(
                    {
                        "event": "term",
                        "where": term.name,
                        "source": term.source,
                        "operation": term.operation,
                    }
                )
        # Listeners may scale gradients: first they, so that what is measured is what is trained on.
        for listener in self.listeners:
            listener(loss, terms)
        if self._probing and not self._seen & {term.name for term in terms}:
            self._seen |= {term.name for term in terms}
            for listener in self.probed:
                listener(loss, terms)
            self._measure(loss, terms[:_MOST_TERMS])

    def _measure(self, loss: Tensor, terms: list[LossTerm]) -> None:
        kind = self._kinds.setdefault(frozenset(term.name for term in terms), len(self._kinds))
        self._collector.add("train", "loss", {"loss.value": loss, "loss.kind": float(kind)})
        elements = sum(scalar.elements for term in terms for scalar in term.scalars)
        self._collector.add("train", "loss", {"loss.elements": float(elements)})
        if len(terms) < 2:
            return
        try:
            weights, gradients = term_gradients(loss, terms)
        except RuntimeError:
            # A graph that cannot be walked twice (reentrant checkpointing, say) is left alone.
            return
        with unrecorded():
            self._measure_terms(terms, weights, gradients)

    def _measure_terms(
        self,
        terms: Sequence[LossTerm],
        weights: Sequence[Sequence[float]],
        gradients: Sequence[dict[int, Tensor]],
    ) -> None:
        shared = {
            key for a, b in itertools.combinations(gradients, 2) for key in a.keys() & b.keys()
        }
        norms = [_common(gradient, gradient, shared).sqrt() for gradient in gradients]
        total = torch.stack(norms).sum()
        for term, weight, norm, gradient in zip(terms, weights, norms, gradients, strict=True):
            found: dict[str, Tensor | float] = {
                "term.weight": sum(weight) / len(weight),
                "term.grad": norm,
                "term.share": norm / total,
                "term.shared": float(len(shared & gradient.keys())),
            }
            if (steady := self._steadiness.measure(term.name, gradient, shared)) is not None:
                found["term.steadiness"] = steady
            if len(term.scalars) == len(term.nodes):
                values = [scalar.value.reshape(()) for scalar in term.scalars]
                found["term.value"] = torch.stack(values).sum()
                found["term.contribution"] = torch.stack(
                    [value * factor for value, factor in zip(values, weight, strict=True)]
                ).sum()
                found["term.elements"] = float(term.scalars[0].elements)
            self._collector.add("train", term.name, found)
        for (a, one), (b, other) in itertools.combinations(enumerate(gradients), 2):
            cosine = _common(one, other, shared) / (norms[a] * norms[b])
            pair = f"{terms[a].name}|{terms[b].name}"
            self._collector.add("train", pair, {"term.cosine": cosine})


def _is_scalar(loss: Any) -> bool:
    return isinstance(loss, Tensor) and loss.numel() == 1


def _common(one: dict[int, Tensor], other: dict[int, Tensor], keys: set[int]) -> Tensor:
    products = [dot(one[k], other[k]) for k in keys if k in one and k in other]
    return torch.stack(products).sum() if products else torch.zeros(())
