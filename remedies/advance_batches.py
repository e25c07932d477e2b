"""R808: every step gets the next batch."""

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


class AdvanceBatches(Remedy):
    """Every step gets the next batch.

    What it does:
        A loader that is asked for a new iterator before the old one was used up goes on where that
        one was. Rows that are taken from a larger tensor by the same slice or index in step after
        step move on by the size of the batch, from the second step on, inputs and labels alike.

    When it helps:
        Every step is made on the same batch, because the iterator is made anew or an index stays.

    Parameters:
        None.

    In the script:
        ``for x, y in loader:`` in the place of ``next(iter(loader))``; ``x[start:start + size]``
        with a ``start`` that moves on.

    Source:
        The documentation of ``torch.utils.data.DataLoader``.
    """

    code = "R808"
    name = "advance-batches"
    treats = {"P808": 0.9}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program, where a symptom asks for it or batches were seen."""
        return [""] if any(symptoms) or trace.places("batch.available") else []

    def apply(self, program: Program, action: Action) -> None:
        """Let loaders go on, and slices move."""
        from torch.utils.data import DataLoader

        from remedies.surgery.batches import Continued, MovingRows

        def tell(detail: str) -> None:
            program.report(action, action.target, detail)

        program.replace(DataLoader, "__iter__", Continued(DataLoader.__iter__, tell).method())
        program.rewrite_calls(MovingRows(program, tell))

    def advice(self, action: Action) -> str:
        """How to get the next batch."""
        return (
            "Take the next batch in every step: iterate over the loader (for x, y in loader), or "
            "move the index on."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Make the iterator before the loop, and anew where it has come to its end."""
        from remedies.source.batches import advance

        source.open_all()
        advance(source.files)
