"""R306: a learning rate that grows over the first steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies._group_settings import during_steps
from remedies.base import Remedy
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class WarmUpLearningRate(Remedy):
    """A learning rate that grows over the first steps.

    What it does:
        Multiplies the learning rate of every parameter group by a factor that grows in a straight
        line from nearly 0 to 1 over so many steps. Schedules of the script go on below it.

    When it helps:
        The rate is right for most of the run but too high for the weights that were drawn at
        random: transformers, large batches, Adam before its averages have settled.

    Parameters:
        ``steps``: length of the warm-up; tried first is a tenth of the observed run, and a fiftieth
        to half of it is searched on a log scale.

    In the script:
        ``torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=steps)``, stepped after
        each batch.

    Source:
        Goyal et al. 2017, Accurate, Large Minibatch SGD; Xiong et al. 2020, On Layer Normalization
        in the Transformer Architecture.
    """

    code = "R306"
    name = "warm-up-learning-rate"
    treats = {"P303": 0.2}
    acts_on = "program"
    reach = "optimizer"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"steps": Range(1.0, 1e5, default=100.0, log=True)}

    def space_for(self, trace: Trace) -> Space:
        """In proportion to the observed run."""
        steps = max(50, trace.steps)
        return {"steps": Range(steps / 50, steps / 2, default=steps / 10, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Scale the rate before each of the first steps and put it back afterwards."""
        length = float(action.params["steps"])
        if length < 1:
            raise ValueError(f"{action}: needs at least one step")
        begun: dict[int, int] = {}
        optimizers: list[Optimizer] = []

        def grown(group: Mapping[str, Any]) -> dict[str, Any]:
            done = begun.get(id(group), 0)
            begun[id(group)] = done + 1
            return {"lr": group["lr"] * (done + 1) / length} if done + 1 < length else {}

        # Groups are told apart by identity: they have to live as long as the trial.
        program.each_optimizer(optimizers.append)
        during_steps(program, action, grown)

    def advice(self, action: Action) -> str:
        """Which schedule to add."""
        steps = round(float(action.params["steps"]))
        return (
            f"Warm up: torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters={steps}), "
            f"stepped after each batch."
        )

    def helper(self, source: Source, action: Action) -> Helper:
        """A schedule that moves on with the steps by itself."""
        from remedies.source.helpers import Helper, optimizer_of
        from remedies.source.imports import written_name

        optimizer, length = optimizer_of(source), max(2, round(float(action.params["steps"])))
        schedule = written_name(optimizer.file, "torch.optim.lr_scheduler.LinearLR")
        code = (
            f"warm_up = {schedule}({optimizer.name}, 1 / {length}, total_iters={length - 1})\n"
            f"{optimizer.name}.register_step_post_hook(lambda *_: warm_up.step())\n"
        )
        return Helper(optimizer.place, "makes the optimizer", code, optimizer.exact)
