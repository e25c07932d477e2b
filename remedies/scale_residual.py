"""R602: residual branches that add less to their stream."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from probes._branches import branches
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor, nn

    from remedies.source.source import Source
    from remedies.surgery import Program

_FEWEST = 4
"""Branches from which on what they add up to grows with the depth."""


class ScaleResidual(Remedy):
    """Residual branches that add less to their stream.

    What it does:
        Multiplies what each residual branch adds to its stream: by one over the root of the number
        of branches, so that all of them together add as much as one did, or by a number for each
        branch that begins at zero and is trained with it.

    When it helps:
        A deep residual network without norms. The variance of the stream doubles with each branch
        that adds as much as there is, and so does that of the gradient on its way back.

    Parameters:
        ``by``: ``depth`` (one over the root of the number of branches) or ``zero`` (a trained
        number that begins at zero).

    In the script:
        ``x = x + block(x)`` becomes ``x = x + depth**-0.5 * block(x)``, or
        ``x = x + self.gate * block(x)`` with ``self.gate = nn.Parameter(torch.zeros(()))``.

    Source:
        Zhang et al. 2019, Fixup Initialization: Residual Learning Without Normalization;
        Bachlechner et al. 2021, ReZero is All You Need; De and Smith 2020, Batch Normalization
        Biases Residual Blocks Towards the Identity Function.
    """

    code = "R602"
    name = "scale-residual"
    treats = {"P603": 0.6}
    acts_on = "modules whose output is added to what they are given"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"by": Choice(("depth", "zero"), usual=2)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All residual branches of a network that has several."""
        found = {branch.where for branch in branches(trace)}
        in_order = [where for where in trace.places("branch.ratio") if where in found]
        if len(in_order) >= _FEWEST:
            yield ",".join(in_order)

    def apply(self, program: Program, action: Action) -> None:
        """Hook the factor onto every target."""
        from remedies.surgery.residuals import ScaledBranch

        if not action.targets or action.params["by"] not in ("depth", "zero"):
            raise ValueError(f"{action}: needs branches, and depth or zero")
        share = 1 / math.sqrt(len(action.targets))

        def hook(path: str, module: nn.Module) -> nn.Module:
            by_depth = action.params["by"] == "depth"
            factor = share if by_depth else _gate(program, module)
            name = f"{share:.3g}" if by_depth else "a trained number that begins at zero"
            tell = partial(program.report, action, path, f"what {path} adds, times {name}")
            module.register_forward_hook(ScaledBranch(factor, tell))
            return module

        for path in action.targets:
            program.edit_module(action, path, partial(hook, path))

    def advice(self, action: Action) -> str:
        """What to multiply with."""
        count = len(action.targets)
        factor = f"{count}**-0.5" if count and action.params["by"] == "depth" else "gate"
        gate = "" if factor != "gate" else ", with gate = nn.Parameter(torch.zeros(()))"
        return f"Scale what each residual branch adds: x = x + {factor} * block(x){gate}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write the root of their number before the branches."""
        if action.params["by"] != "depth" or not action.targets:
            raise Unwritable("a trained number needs a place in the constructor")
        kinds = {_kind(target) for target in action.targets}
        if any(_kind(m) in kinds and m not in action.targets for m in source.trace.modules):
            raise Unwritable("branches would be scaled that were not")
        source.scale_branches(action.targets)


def _kind(path: str) -> str:
    """A path without its numbers."""
    return re.sub(r"\d+", "#", path)


def _gate(program: Program, module: nn.Module) -> Tensor:
    """A number that begins at zero and is trained with a module."""
    import torch
    from torch import nn

    like = next(module.parameters())
    gate = nn.Parameter(torch.zeros((), device=like.device, dtype=like.dtype))
    program.adopt_parameters(module, nn.ParameterList([gate]))
    return gate
