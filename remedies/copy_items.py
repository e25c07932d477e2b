"""R908: what a data set keeps stays as it is when an item is read."""

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


class CopyItems(Remedy):
    """What a data set keeps stays as it is when an item is read.

    What it does:
        Puts the rows of a stored tensor or array back after a batch was read from it.

    When it helps:
        Items are augmented or normalised in place, and are views of what is stored.

    Parameters:
        None.

    In the script:
        ``image = self.images[i].clone()``; ``.copy()`` for a numpy array.

    Source:
        The documentation of PyTorch on tensor views.
    """

    code = "R908"
    name = "copy-items"
    treats = {"P908": 0.95}
    acts_on = "an attribute of a data set"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """What is changed by reading it, together; all that was seen without symptoms."""
        symptoms = list(symptoms)
        named = {symptom.where for symptom in symptoms}
        known = dict.fromkeys(key.partition("|")[0] for key in trace.places("data.changed"))
        found = [where for where in known if where in named or not symptoms]
        if found:
            yield ",".join(found)

    def apply(self, program: Program, action: Action) -> None:
        """Put back what was changed, after each batch."""
        from torch.utils.data._utils.fetch import _MapDatasetFetcher

        from remedies.surgery.stored_rows import kept

        def tell(where: str) -> None:
            program.report(action, where, "put back after each batch")

        program.replace(
            _MapDatasetFetcher, "fetch", kept(_MapDatasetFetcher.fetch, action.targets, tell)
        )

    def advice(self, action: Action) -> str:
        """What to copy."""
        return (
            f"Copy what is read from {action.target or 'the data set'} before it is changed in "
            "place: self.images[i].clone(), or .copy() of a numpy array."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Copy the rows where an item is read."""
        from remedies.source.items import copy_rows

        for key in source.trace.places("data.changed"):
            target, _, place = key.partition("|")
            if target in action.targets:
                is_array = any(source.trace.signal("train", key, "data.is_array").values)
                file, line = source.place(place)
                copy_rows(file, line, target.rpartition(".")[2], "copy" if is_array else "clone")
