"""R304: evaluation with a moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.surgery import Program


class AverageWeights(Remedy):
    """Evaluation with a moving average of the weights.

    What it does:
        Keeps exponential moving averages of all parameters that are trained, and of the buffers of
        their modules, and puts them in their place while the model is evaluated: in eval mode, or
        without gradient. Training is the same to the last bit. What is saved between
        ``model.eval()`` and ``model.train()`` are the averages.

    When it helps:
        The weights jump around a good place without settling there: large learning rates, small
        batches, few steps left. It does not help where they are on the way to a bad one.

    Parameters:
        ``decay``: weight of the old average in the new one at each step, 0.8 to 0.9999. Less in the
        first steps, so that a short run does not evaluate its initial weights.

    In the script:
        ``torch.optim.swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn(decay)``; call its
        ``update_parameters`` after each step, and evaluate it instead of the model.

    Source:
        Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; Mandt et
        al. 2017, Stochastic Gradient Descent as Approximate Bayesian Inference; Izmailov et al.
        2018, Averaging Weights Leads to Wider Optima and Better Generalization.
    """

    code = "R304"
    name = "average-weights"
    treats = {"P310": 0.4, "P501": 0.1}
    acts_on = "program"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"decay": Range(0.8, 0.9999, default=0.99)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Follow the steps, and change the weights around evaluations."""
        from remedies.surgery.averages import AveragedWeights

        decay = float(action.params["decay"])
        if not 0 <= decay < 1:
            raise ValueError(f"{action}: the decay must be at least 0 and less than 1")
        averages = AveragedWeights(
            decay, lambda count: program.report(action, "", f"evaluated with {count} averages")
        )
        for undo in averages.install():
            program.at_close(undo)
        program.around_steps(averages.before_step, averages.after_step)

    def advice(self, action: Action) -> str:
        """How to keep and use the averages."""
        decay = float(action.params["decay"])
        return (
            f"Evaluate torch.optim.swa_utils.AveragedModel(model, use_buffers=True, multi_avg_fn="
            f"get_ema_multi_avg_fn({decay:.4g})), updated after each step, instead of the model."
        )
