"""Watches what goes into the model and what goes into the loss."""

from __future__ import annotations

from collections.abc import Callable

from probes.tap.batches import BatchWatch
from probes.tap.broadcasts import BroadcastWatch
from probes.tap.calls import CallLog
from probes.tap.inputs import InputWatch
from probes.tap.labels import LabelWatch
from probes.tap.locate import Sources
from probes.tap.loss_inputs import LossInputWatch
from probes.tap.losses import LossWatch
from probes.tap.modules import ModuleTree
from probes.tap.sample_axes import SampleAxisWatch
from probes.tap.scrambles import ScrambleWatch
from probes.tap.shared_samples import SharedSampleWatch
from probes.tap.statistics import Collector
from probes.tap.stored_rows import StoredRowWatch
from probes.tap.target_tokens import TargetTokenWatch
from probes.tap.targets import TargetWatch
from probes.tap.wrap import all_undone


class DataWatch:
    """All watches of data, switched on and off together; the arguments are theirs."""

    def __init__(
        self,
        sources: Sources,
        tree: ModuleTree,
        calls: CallLog,
        losses: LossWatch,
        collector: Collector,
    ) -> None:
        self._batches = BatchWatch(sources, tree, calls, collector)
        self._stored = StoredRowWatch(sources, collector)
        self._shared = SharedSampleWatch(sources, tree, calls, collector)
        self._evaluated = InputWatch(tree, collector), TargetWatch(sources, calls, collector)
        trained = (
            self._batches,
            self._stored,
            self._shared,
            BroadcastWatch(sources, calls, losses, collector),
            LossInputWatch(sources, tree, calls, collector),
            LabelWatch(sources, calls, collector),
            TargetTokenWatch(sources, calls, collector),
            ScrambleWatch(sources, calls, collector),
            SampleAxisWatch(sources, tree, calls, collector),
        )
        self.watches = (*self._evaluated, *trained)

    def install(self) -> Callable[[], None]:
        """Begin to note loaders and what they read; returns what undoes it."""
        return all_undone([self._batches.install(), self._stored.install()])

    def switch_on(self) -> None:
        """Watch the next step."""
        for watch in self.watches:
            watch.switch_on()

    def evaluate(self) -> None:
        """Watch the evaluation that begins."""
        for watch in self._evaluated:
            watch.switch_on()
        self._shared.evaluate()

    def evaluate_samples(self) -> None:
        """Watch which samples come without gradients."""
        self._shared.evaluate()

    def switch_off(self) -> None:
        """Watch no more."""
        for watch in self.watches:
            watch.switch_off()
