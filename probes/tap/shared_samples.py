"""Watches whether a model is evaluated on the samples that it is trained on."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from probes.tap.batches import LABELLED, labels_of
from probes.tap.calls import CallLog
from probes.tap.guard import quietly
from probes.tap.locate import Sources
from probes.tap.modules import ModuleTree
from probes.tap.sample_rows import MOST_ROWS, Rows, sample_rows
from probes.tap.statistics import Collector

_MOST_KNOWN = 20_000
_EXPECTED = 4.0
"""Matches that a group of rows must have, were they all trained on, to say something."""
_FEWEST_STEPS = 4
_IN_NEARLY_ALL = 0.75
_NOTHING = ("", 0, 0.0)


class _Known:
    """The samples that one model was trained on, as far as they were seen."""

    def __init__(self, root: nn.Module) -> None:
        self.root = weakref.ref(root)
        self.rows: set[tuple[float, ...]] = set()
        self.revisited: deque[float] = deque(maxlen=8)

    @property
    def coverage(self) -> float:
        """Share of the training samples that are known: of the last batches, what was."""
        return sum(self.revisited) / len(self.revisited) if self.revisited else 0.0

    def take(self, rows: Rows) -> None:
        """Remember a batch that is trained on."""
        self.revisited.append(sum(row in self.rows for row in rows) / len(rows))
        if len(self.rows) < _MOST_KNOWN:
            self.rows.update(rows)


class SharedSampleWatch:
    """Compares the samples of evaluation with those of training, model by model.

    A batch counts as trained on when a loss compares as many labels, or a multiple of that: a graph
    of which some nodes are labelled does not. Passes of another model than the last one that was
    trained (a teacher), at lines where the batch of the step goes through without gradient, and at
    those that are met in nearly every step (the value of the next state) are no evaluation.
    Samples of which there can be but few (points of a grid, short rows of bits) and those that come
    twice in one pass by chance (words, states of a game) are left alone.

    Args:
        sources: Tells the user's lines.
        tree: Tells the root modules.
        calls: Tells of the losses.
        collector: Takes, in evaluation, at the line of the forward pass: ``samples.shared``, the
            share of the samples that are trained on, too, group by group, as the passes come.
            How many of the training samples are known is made up for.
    """

    def __init__(
        self, sources: Sources, tree: ModuleTree, calls: CallLog, collector: Collector
    ) -> None:
        self._sources = sources
        self._tree = tree
        self._collector = collector
        self._handle: RemovableHandle | None = None
        self._known: dict[int, _Known] = {}
        self._trained: tuple[nn.Module, Rows] | None = None
        self._probed = False
        self._group: tuple[str, int, float] = _NOTHING
        self._last: _Known | None = None
        self._batch: Rows = []
        self._waiting: tuple[_Known, Rows, str] | None = None
        self._within_steps: set[str] = set()
        self._steps = 0
        self._met: dict[str, set[int]] = {}
        calls.listen(self._note, LABELLED)

    def switch_on(self) -> None:
        """Watch the next step."""
        self._probed = True
        self._steps += 1
        self.evaluate()

    def evaluate(self) -> None:
        """Watch the evaluation that begins, up to the next forward pass in training."""
        if self._handle is None:
            self._handle = register_module_forward_pre_hook(self._enter)

    def switch_off(self) -> None:
        """Watch no more."""
        self._probed = False
        self._trained, self._batch = None, []
        self._finish()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    @quietly
    def _enter(self, module: nn.Module, args: Any) -> None:
        if not any(module is root for root in self._tree.roots.values()):
            return
        known = self._known_of(module)
        if module.training and torch.is_grad_enabled():
            rows = sample_rows(args)
            if self._waiting is not None and _mostly_in(self._waiting[1], rows):
                self._within_steps.add(self._waiting[2])
                self._waiting = None
            self._finish()
            if not self._probed:
                self.switch_off()
            elif rows:
                self._trained, self._batch = (module, rows), rows
        else:
            line = self._sources.line() or ""
            self._meet(line)
            if known.coverage and known is self._last:
                self._see(known, sample_rows(args), line)

    def _meet(self, line: str) -> None:
        """Note that a pass at this line is part of the step; one in nearly all is no evaluation."""
        if self._probed:
            met = self._met.setdefault(line, set())
            met.add(self._steps)
            if len(met) >= max(_FEWEST_STEPS, _IN_NEARLY_ALL * self._steps):
                self._within_steps.add(line)

    def _see(self, known: _Known, rows: Rows, line: str) -> None:
        """Take a pass for one of evaluation, unless the next one trains on the same samples."""
        if _mostly_in(rows, self._batch):
            self._within_steps.add(line)
        self._evaluated()
        if rows and line not in self._within_steps:
            self._waiting = known, rows, line

    def _known_of(self, root: nn.Module) -> _Known:
        known = self._known.get(id(root))
        if known is None or known.root() is not root:
            known = self._known[id(root)] = _Known(root)
        return known

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        if self._trained is None or not isinstance(result, Tensor) or not result.requires_grad:
            return
        root, rows = self._trained
        if not rows:
            return
        labels = labels_of(getattr(func, "__name__", ""), args, kwargs)
        if labels is not None and min(len(labels), MOST_ROWS) % len(rows) == 0:
            self._trained = None
            self._last = self._known_of(root)
            self._last.take(rows)

    def _evaluated(self) -> None:
        """Count the pass that waits for what comes next."""
        if self._waiting is None:
            return
        known, rows, at = self._waiting
        self._waiting = None
        if self._group[0] != at:
            self._close()
        _, shared, expected = self._group
        shared += sum(row in known.rows for row in rows)
        self._group = at, shared, expected + known.coverage * len(rows)
        if self._group[2] >= _EXPECTED:
            self._close()

    def _finish(self) -> None:
        """The passes of an evaluation are over."""
        self._evaluated()
        self._close()

    def _close(self) -> None:
        """Tell of a group that is large enough, or that has nothing in common with training."""
        line, shared, expected = self._group
        self._group = _NOTHING
        if expected >= _EXPECTED or (expected and not shared):
            self._collector.add("eval", line, {"samples.shared": shared / expected})


def _mostly_in(rows: Rows, batch: Rows) -> bool:
    return 2 * len(set(rows).intersection(batch)) > len(rows)
