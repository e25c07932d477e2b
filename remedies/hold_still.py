"""R807: a part that is to stand still does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class HoldStill(Remedy):
    """A part that is to stand still does.

    What it does:
        From where the script freezes a part (asks for no gradient, tries to by an attribute of a
        module, or leaves it out of its new optimizer), its parameters are left out of every
        optimizer step, and it is in evaluation mode in every forward pass.

    When it helps:
        A part that was learned before is to be kept, and weight decay, momentum, a gradient or the
        batches that pass through its norms change it.

    Parameters:
        None.

    In the script:
        ``part.requires_grad_(False)``; ``part.eval()`` after each ``model.train()``; an optimizer
        over ``[p for p in model.parameters() if p.requires_grad]``.

    Source:
        The documentation of autograd on locally disabling gradient computation.
    """

    code = "R807"
    name = "hold-still"
    treats = {"P805": 0.9}
    acts_on = "modules and parameters that are frozen"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The parts that symptoms name, together; all that are frozen where there is none."""
        known = trace.places("frozen.elements")
        named = [s.where for s in symptoms if s.where in known]
        if named or known:
            yield ",".join(dict.fromkeys(named or known))

    def apply(self, program: Program, action: Action) -> None:
        """Watch forward passes and steps."""
        from torch.nn.modules.module import register_module_forward_pre_hook

        from remedies.surgery.stillness import Stillness

        if not action.targets:
            raise ValueError(f"{action}: needs a part to hold still")
        still = Stillness(
            action.targets,
            program,
            lambda target, detail: program.report(action, target, detail),
        )

        def before_forward(module: Any, inputs: Any) -> None:
            still.before_forward(module)

        program.each_optimizer(still.made)
        program.around_steps(still.before_step, still.after_step)
        program.at_close(register_module_forward_pre_hook(before_forward).remove)

    def advice(self, action: Action) -> str:
        """How to freeze it."""
        part = action.target or "the part"
        return (
            f"Freeze {part} with requires_grad_(False), give the optimizer only what is trained, "
            f"and call eval() on {part} after each model.train()."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Turn the attribute into the call, where it is the attribute that was wrong."""
        parts = [line for part in action.targets for line in _flags(source.trace, part)]
        below = [
            info
            for where, info in source.trace.modules.items()
            if any(where == part or where.startswith(f"{part}.") for part in action.targets)
        ]
        if not parts:
            raise Unwritable("it is not clear which line was to freeze it")
        if any(info.running_statistics or "Dropout" in info.type for info in below):
            raise Unwritable("it also has to be put into evaluation mode")
        source.freeze(dict.fromkeys(parts))


def _flags(trace: Trace, part: str) -> list[str]:
    """The lines that set an attribute which freezes nothing."""
    places = [place.rpartition("@") for place in trace.places("frozen.misplaced")]
    return [line for where, at, line in places if at and where == part]
