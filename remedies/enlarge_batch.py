"""R303: one update for the gradients of several batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.surgery import Program


class EnlargeBatch(Remedy):
    """One update for the gradients of several batches.

    What it does:
        Has an optimizer step at every second, fourth or eighth call only, with the mean of the
        gradients that it was to step with: as one batch so many times as large would give it, as
        long as the loss is a mean over samples and no batch norm or clipping comes between. The
        script sees as many batches as before and makes fewer updates. LBFGS, and fused optimizers
        under a ``GradScaler``, are left alone.

    When it helps:
        The gradient of one batch is mostly noise. "The batch is too small" is what people suspect
        first when predictions collapse; it is offered so that the trials can refute it.

    Parameters:
        ``factor``: 4, 2 or 8 batches for one update.

    In the script:
        Multiply ``batch_size`` by the factor, or accumulate gradients over so many batches.

    Source:
        McCandlish et al. 2018, An Empirical Model of Large-Batch Training, on when it pays.
    """

    code = "R303"
    name = "enlarge-batch"
    treats = {"P301": 0.05, "P310": 0.6, "P501": 0.05}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Choice((4, 2, 8))}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Give every optimizer another ``step``."""
        from remedies.surgery.accumulation import Accumulation

        factor = int(action.params["factor"])
        if factor < 2:
            raise ValueError(f"{action}: the factor must be 2 or more")

        def enlarge(optimizer: Optimizer) -> None:
            Accumulation(
                optimizer,
                factor,
                lambda: program.report(action, "", f"one update for {factor} batches"),
            )

        program.each_optimizer(enlarge)

    def advice(self, action: Action) -> str:
        """How to enlarge it."""
        factor = int(action.params["factor"])
        return f"Multiply the batch size by {factor}, or step once for the gradients of {factor}."
