"""R606: every feature of a representation at variance one over the batch."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class SpreadOutput(Remedy):
    """Every feature of a representation at variance one over the batch.

    What it does:
        Standardises what a module puts out, feature by feature, over all samples and positions of
        the batch, and with their running averages in evaluation: a batch norm without parameters.

    When it helps:
        The rows of a representation have become all the same. Whatever differs between them is
        brought back to size, and a loss that draws embeddings together is no longer served by
        making them the same.

    Parameters:
        ``eps``: what is added to the variance; features that vary less stay near zero.

    In the script:
        ``z = encoder(x)`` becomes ``z = norm(encoder(x))`` with
        ``norm = nn.BatchNorm1d(width, affine=False)``.

    Source:
        Daneshmand et al. 2020, Batch Normalization Provably Avoids Rank Collapse for Randomly
        Initialised Deep Networks; Bardes et al. 2022, VICReg, for the variance of embeddings.
    """

    code = "R606"
    name = "spread-output"
    treats = {"P703": 0.5}
    acts_on = "a module"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"eps": Choice((1e-5, 1e-8), usual=1)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The module that the symptom names; then all modules like it."""
        for symptom in symptoms:
            info = trace.modules.get(symptom.where)
            if info is None:
                continue
            like = [o.where for o in trace.modules.values() if _alike(trace, o.where, info.where)]
            yield from dict.fromkeys([info.where, ",".join(like)])

    def apply(self, program: Program, action: Action) -> None:
        """Hook the norm onto every target."""
        from remedies.surgery.running_norm import RunningNorm
        from remedies.surgery.tensors import change_first

        epsilon = float(action.params["eps"])

        def hook(path: str, module: nn.Module) -> nn.Module:
            norm = RunningNorm(epsilon, lambda: program.report(action, path, "features at one"))
            module.register_forward_hook(
                lambda own, _, output: change_first(output, partial(norm, own.training))
            )
            return module

        for path in action.targets:
            program.edit_module(action, path, partial(hook, path))

    def advice(self, action: Action) -> str:
        """Where to put the norm."""
        return f"Put nn.BatchNorm1d(width, affine=False) behind {action.target}."

    def helper(self, source: Source, action: Action) -> Helper:
        """A batch norm without parameters on what the modules give."""
        from remedies.source.helpers import Helper, listed, model_of
        from remedies.source.imports import written_name

        model, below = model_of(source, action.targets)
        norm = written_name(model.file, "torch.nn.LazyBatchNorm1d")
        code = (
            f"for module_path in ({listed(below)}):\n"
            f"    spread = {norm}(eps={float(action.params['eps']):g}, affine=False)\n"
            f"    {model.name}.get_submodule(module_path).register_forward_hook(\n"
            "        lambda module, args, output, norm=spread: "
            "norm.train(module.training)(output.flatten(0, -2)).view_as(output)\n    )\n"
        )
        return Helper(model.place, "makes the model", code, model.exact)


def _alike(trace: Trace, where: str, other: str) -> bool:
    one, two = trace.modules[where], trace.modules[other]
    return (one.parent, one.type) == (two.parent, two.type)
