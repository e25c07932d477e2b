"""R816: batches of samples from all over the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class ShuffleBatches(Remedy):
    """Batches of samples from all over the data.

    What it does:
        The loader that is made at a line gives its samples in a new random order each time it is
        gone through. Where it is slices of a tensor that are taken there one after another, rows of
        a random order are taken instead, from the second step on: inputs and labels alike, in
        another order after each round.

    When it helps:
        The data is sorted by its labels, and nothing shuffles it.

    Parameters:
        None.

    In the script:
        ``DataLoader(dataset, batch_size=32, shuffle=True)``; ``order = torch.randperm(n)`` before
        each epoch, and ``rows = order[start:start + size]`` in the place of the slice.

    Source:
        Bengio 2012, Practical recommendations for gradient-based training of deep architectures.
    """

    code = "R816"
    name = "shuffle-batches"
    treats = {"P816": 0.9}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The line that gives the batches the order of the data."""
        made = (key.partition("|")[2] for key in trace.places("order.level"))
        return list(dict.fromkeys(line for line in made if line))

    def apply(self, program: Program, action: Action) -> None:
        """Have the loader of that line shuffle, or the slices that are taken there."""
        from torch.utils.data import DataLoader

        from remedies.surgery.orders import ShuffledRows, shuffling

        def tell(detail: str) -> None:
            program.report(action, action.target, detail)

        def chosen() -> bool:
            return program.line() == action.target

        program.replace(DataLoader, "__init__", shuffling(DataLoader.__init__, chosen, tell))
        program.rewrite_calls(ShuffledRows(program, chosen, tell))

    def advice(self, action: Action) -> str:
        """How to shuffle."""
        return (
            "Shuffle the training data: shuffle=True for the loader, or a new torch.randperm before"
            f" each epoch. The batches get the order of the data at {action.target}."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``shuffle=True`` where the loader is made, or index by a new order."""
        from remedies.source.orders import shuffle_loader, shuffle_slices

        file, line = source.place(action.target)
        if not shuffle_loader(file, line):
            shuffle_slices(file, line)
