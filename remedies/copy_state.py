"""R815: a state that is kept is a copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class CopyState(Remedy):
    """A state that is kept is a copy.

    What it does:
        Where a line takes the state of a model, ``state_dict()`` gives copies of the tensors in the
        place of the model's own.

    When it helps:
        The script means to come back to the state later, and training goes on in its tensors.

    Parameters:
        None.

    In the script:
        ``best = copy.deepcopy(model.state_dict())``

    Source:
        The tutorial of PyTorch on Saving and Loading Models: ``state_dict()`` returns references.
    """

    code = "R815"
    name = "copy-state"
    treats = {"P815": 0.95}
    acts_on = "lines that take a state"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The models and lines that symptoms name, together; all such without any."""
        symptoms = list(symptoms)
        named = {f"{symptom.where}@{symptom.source}" for symptom in symptoms}
        taken = [place.rpartition("@")[0] for place in trace.places("state.idle")]
        found = [place for place in taken if "@" in place and (place in named or not symptoms)]
        if found:
            yield ",".join(dict.fromkeys(found))

    def apply(self, program: Program, action: Action) -> None:
        """Have the lines given copies."""
        from torch import nn

        from remedies.surgery.states import copied_at

        lines = _lines(action)
        if not lines:
            raise ValueError(f"{action}: needs a line that takes a state")

        def tell(detail: str) -> None:
            program.report(action, action.target, detail)

        copied = copied_at(nn.Module.state_dict, lambda: program.line() in lines, tell)
        program.replace(nn.Module, "state_dict", copied)

    def advice(self, action: Action) -> str:
        """What to copy, and where."""
        lines = ", ".join(_lines(action))
        return f"Keep a copy at {lines or 'the line'}: copy.deepcopy(model.state_dict())."

    def rewrite(self, source: Source, action: Action) -> None:
        """Copy what the lines take."""
        lines = _lines(action)
        if not lines:
            raise Unwritable("no line is named")
        source.copy_states(lines)


def _lines(action: Action) -> list[str]:
    found = [target.rpartition("@") for target in action.targets]
    return list(dict.fromkeys(line for _, at, line in found if at))
