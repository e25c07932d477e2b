"""R101: another norm in the place of one with running statistics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.surgery import Program


class SwapNorm(Remedy):
    """Another norm in the place of one with running statistics.

    What it does:
        Replaces norm modules before the first step, keeping their affine parameters (the same
        objects, so that the optimizer goes on with them).

    When it helps:
        Batch normalisation uses the statistics of the batch in training, and running averages of
        them in evaluation. Where the averages are wrong (set by early batches, by other data, by
        tiny batches, or frozen), the same weights compute something else in evaluation. A norm
        without running statistics does the same in both.

    Parameters:
        ``to``: ``instance`` (each channel of each sample; ``layer`` where a channel has a single
        value), ``group`` (groups of channels), ``layer`` (all of a sample), ``rms`` (as layer,
        without the mean) or ``batch`` (batch statistics in evaluation, too).

    In the script:
        ``nn.BatchNorm1d(32)`` becomes ``nn.InstanceNorm1d(32, affine=True)``,
        ``nn.GroupNorm(16, 32)``, ``nn.GroupNorm(1, 32)``, ... at the lines that are named.

    Source:
        Ulyanov et al. 2016, Instance Normalization; Wu and He 2018, Group Normalization; Zhang and
        Sennrich 2019, Root Mean Square Layer Normalization.
    """

    code = "R101"
    name = "swap-norm"
    treats = {"P101": 0.8, "P102": 0.8}
    acts_on = "norm modules with running statistics"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice(("instance", "group", "layer", "rms", "batch"))}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All norms that can be swapped, together: swapping one leaves the others wrong."""
        norms = [info.where for info in trace.modules.values() if info.running_statistics]
        if norms:
            yield ",".join(norms)

    def apply(self, program: Program, action: Action) -> None:
        """Ask for the replacement of every target."""
        from remedies.surgery.norms import KINDS, StandInNorm

        kind = str(action.params["to"])
        if kind not in KINDS:
            raise ValueError(f"{self.name}: unknown norm {kind!r} (known: {', '.join(KINDS)})")

        def swap(old: nn.Module) -> nn.Module:
            weight, bias = getattr(old, "weight", None), getattr(old, "bias", None)
            channels = int(old.running_mean.numel())  # type: ignore[operator]
            return StandInNorm(kind, channels, weight, bias, float(old.eps))  # type: ignore[arg-type]

        for path in action.targets:
            program.edit_module(action, path, swap)

    def advice(self, action: Action) -> str:
        """Which constructor to write instead."""
        written = {
            "instance": "nn.InstanceNorm1d/2d/3d(channels, affine=True)",
            "group": "nn.GroupNorm(groups, channels)",
            "layer": "nn.GroupNorm(1, channels)",
            "rms": "an RMS norm over all dimensions but the batch's",
            "batch": "nn.BatchNorm1d/2d/3d(channels, track_running_stats=False)",
        }
        return f"Use {written[str(action.params['to'])]} in place of {action.target}."
