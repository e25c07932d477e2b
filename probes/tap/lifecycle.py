"""The life cycle of training: from clearing the gradients to the step, modes, schedules."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.optim import Optimizer

from probes.tap.calls import CallLog
from probes.tap.cuts import CutWatch
from probes.tap.cycle import CycleWatch
from probes.tap.locate import Sources
from probes.tap.membership import MembershipWatch
from probes.tap.modes import ModeWatch
from probes.tap.modules import ModuleTree
from probes.tap.no_grad import NoGradBlocks
from probes.tap.optimizers import Optimizers
from probes.tap.owners import Owners
from probes.tap.recurrences import RecurrenceWatch
from probes.tap.schedules import ScheduleWatch
from probes.tap.statistics import Collector
from probes.tap.terms import LossTerm
from probes.tap.wrap import all_undone
from probes.trace import Event


class LifecycleWatch:
    """What happens around the optimizer steps, as one watch of the tap.

    Args:
        tree: Names modules and parameters.
        sources: Tells the user's lines.
        calls: Tells of the calls of torch functions.
        collector: Takes the signals.
        emit: Takes ``optimizer`` and ``module`` events.
        step: Gives the number of the optimizer step.

    Attributes:
        owners: Names parameters.
        blocks: Knows the parts without gradients.
    """

    def __init__(
        self,
        tree: ModuleTree,
        sources: Sources,
        calls: CallLog,
        collector: Collector,
        emit: Callable[[Event], None],
        step: Callable[[], int],
    ) -> None:
        self._tree = tree
        self._optimizers = Optimizers(sources, emit)
        self.blocks = blocks = NoGradBlocks(sources, calls, step)
        cuts = CutWatch(self._optimizers, calls, blocks, tree, collector)
        self._cycle = CycleWatch(self._optimizers, collector)
        self.owners = Owners(tree, sources, emit)
        around = RecurrenceWatch(self._optimizers, calls, self.owners, collector)
        self._membership = MembershipWatch(self.owners, self._optimizers, cuts, collector)
        self._modes = ModeWatch(tree, self._optimizers, calls, blocks, collector)
        schedules = ScheduleWatch(self._optimizers, collector)
        self._installed = (self._cycle, self._membership, self._modes, schedules, blocks, around)
        self._watches = (*self._installed, cuts)

    def install(self) -> Callable[[], None]:
        """Begin to watch; returns what undoes it."""
        undo = [part.install() for part in self._installed]
        return all_undone(undo)

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Follow an optimizer that was just made."""
        earlier = {id(p) for module in self._tree.alive() for p in module.parameters(recurse=False)}
        self._optimizers.made(optimizer, earlier)
        self._cycle.add_optimizer(optimizer)

    def look_at(self, loss: Tensor, terms: list[LossTerm]) -> None:
        """Take in a loss before its backward pass."""
        self._membership.look_at(loss, terms)
        self._modes.look_at(loss, terms)

    def switch_on(self) -> None:
        """Watch the step that begins."""
        for watch in self._watches:
            watch.switch_on()

    def switch_off(self) -> None:
        """Watch no more; the step is over."""
        for watch in self._watches:
            watch.switch_off()
