"""R505: random initial weights in the place of zeros that block each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes._parts import parts
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.source import Source
    from remedies.surgery import Program

_CALL = "nn.init.kaiming_uniform_(weight, a=5 ** 0.5)"


class DrawZeroWeights(Remedy):
    """Random initial weights in the place of zeros that block each other.

    What it does:
        At the first step of an optimizer, where weight matrices and their gradients are all zeros,
        it draws the first of each module as PyTorch draws those of a linear layer. The others of
        the module stay zero, so that a product of two is as it was; their gradient no longer is.
        The program's random numbers stay the same.

    When it helps:
        Two matrices that are multiplied with each other were both initialised to zero, or all
        layers of a network were.

    Parameters:
        None.

    In the script:
        ``nn.init.kaiming_uniform_(self.lora_A, a=5 ** 0.5)`` for one of the two.

    Source:
        Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, section 4.1.
    """

    code = "R505"
    name = "draw-zero-weights"
    treats = {"P604": 0.8}
    acts_on = "the whole model"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole model, where weights that are all zeros get no gradient."""
        symptoms = list(symptoms)
        if not symptoms or any(symptom.evidence.get("zeros") for symptom in symptoms):
            yield ""

    def apply(self, program: Program, action: Action) -> None:
        """Draw the first of each module once an optimizer is about to make its first step."""
        from remedies.surgery.initialisation import draw_zeros

        seen: set[int] = set()

        def before(optimizer: Optimizer) -> None:
            if id(optimizer) not in seen:
                seen.add(id(optimizer))
                drawn = draw_zeros(optimizer, program.name_of)
                if drawn:
                    program.report(action, "", f"drawn: {', '.join(drawn[:4])}, ...")

        program.around_steps(before)

    def advice(self, action: Action) -> str:
        """Which of them to draw."""
        return (
            "Draw one of two matrices that are multiplied with each other and are both all zeros: "
            "nn.init.kaiming_uniform_(self.lora_A, a=5 ** 0.5)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Draw them where they are made, or where they are set to zeros."""
        from remedies.source.initialisers import draw, initialise

        names = _first_of_each(source.trace)
        if names == {"weight"}:
            initialise(source, _CALL)
        elif len(names) == 1:
            draw(source, names.pop(), _CALL)
        else:
            raise Unwritable("weights of several names are all zeros")


def _first_of_each(trace: Trace) -> set[str]:
    """The attribute that holds the first of the zeros of each module."""
    zeros = {name for p in parts(trace, "blocked") if p.is_mostly("zeros") for name in p.parameters}
    first: dict[str, str] = {}
    for parameter in trace.places("blocked.elements"):  # In the order of the optimizer.
        module, _, attribute = parameter.rpartition(".")
        if parameter in zeros and attribute != "bias":
            first.setdefault(module, attribute)
    return set(first.values())
