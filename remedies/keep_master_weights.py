"""R314: float32 weights behind those in half precision."""

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


class KeepMasterWeights(Remedy):
    """Float32 weights behind those in half precision.

    What it does:
        Keeps a float32 copy of each parameter in bfloat16 or float16, and has the optimizer update
        that one, with a state in float32. After each step the parameter gets the copy, rounded.
        Forward and backward pass stay in half precision.

    When it helps:
        The updates are smaller than the spacing of the format, and are rounded away one by one;
        in the copy they add up.

    Parameters:
        None.

    In the script:
        Leave the parameters in float32, and compute under autocast:
        ``@torch.autocast("cuda", dtype=torch.bfloat16)`` above ``forward``, in the place of
        ``model.to(torch.bfloat16)``.

    Source:
        Micikevicius et al. 2018, Mixed Precision Training (section 3.1).
    """

    code = "R314"
    name = "keep-master-weights"
    treats = {"P311": 0.95}
    acts_on = "program"
    reach = "optimizer"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Put the copies in the place of the parameters while a step is made."""
        from remedies.surgery.masters import MasterWeights

        masters = MasterWeights(
            lambda count: program.report(action, "", f"{count} parameters kept in float32")
        )
        program.around_steps(masters.before_step, masters.after_step)

    def advice(self, action: Action) -> str:
        """What to leave out, and what to write instead."""
        return (
            "Leave the parameters in float32 (no model.to(torch.bfloat16), .bfloat16() or .half()) "
            "and compute the forward pass under torch.autocast(device_type, dtype=torch.bfloat16)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Take the cast of the model away, and put its forward pass under autocast."""
        lines = source.trace.places("cast.half")
        if len(lines) != 1:
            raise Unwritable(f"{len(lines)} lines were seen to cast a model")
        source.autocast_instead(lines[0])
