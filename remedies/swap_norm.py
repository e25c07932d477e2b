"""R101: another norm in the place of one with running statistics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _running_norms
from remedies._groups import group_count
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.calls import CallSite
    from remedies.source.source import Source
    from remedies.surgery import Program

_SEQUENTIAL = re.compile(r"Attention|Transformer|Embedding|LSTM|GRU|RNN")
"""Types of modules that only sequence models have."""

_WRITABLE = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
_KEPT = ("eps", "affine", "device", "dtype", "bias")


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
        without the mean), ``batch`` (batch statistics in evaluation, too) or ``position`` (the
        channels of each position). In a sequence model only the last is offered: all others mix
        positions, and would let a causal model see the future.

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
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"to": Choice(("instance", "group", "layer", "rms", "batch", "position"))}

    def space_for(self, trace: Trace) -> Space:
        """Norms that do not mix positions, where the model works on sequences."""
        if any(_SEQUENTIAL.search(info.type) for info in trace.modules.values()):
            return {"to": Choice(("position",))}
        return self.space

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All norms that can be swapped, together: swapping one leaves the others wrong."""
        return _running_norms.all_as_one(trace)

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
            "position": "nn.LayerNorm(channels) over the channels (transposed to the last place)",
            "batch": "nn.BatchNorm1d/2d/3d(channels, track_running_stats=False)",
        }
        return f"Use {written[str(action.params['to'])]} in place of {action.target}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Call another constructor at the lines that made the norms."""
        for call in source.constructors(action.targets):
            kind = str(action.params["to"])
            if kind in ("instance", "position") and not _has_positions(source.trace, call):
                kind = "layer"  # What the others come to where a channel has a single value.
            _write(call, kind)


def _has_positions(trace: Trace, call: CallSite) -> bool:
    """Whether a channel has several values in one sample, as far as was seen."""
    positions = {
        value > 1
        for info in call.modules
        for phase in ("train", "eval")
        for value in trace.signal(phase, info.where, "norm.positions").values
    }
    if len(positions) != 1:
        raise Unwritable("the shape of a norm's input is not known, or not always the same")
    return positions.pop()


def _write(call: CallSite, kind: str) -> None:
    name = call.name.rpartition(".")[2]
    given = call.arguments(*_running_norms.SIGNATURE)
    if name not in _WRITABLE or given.get("track_running_stats", "True") != "True":
        raise Unwritable(f"{call.name} cannot be written as another norm")
    if call.file.mentions("running_mean", "running_var", "num_batches_tracked"):
        raise Unwritable("the script uses the running statistics itself")
    channels = given["num_features"]
    kept = {key: given[key] for key in _KEPT if key in given}
    if kind == "instance":
        kept.setdefault("affine", "True")
        call.write(name.replace("Batch", "Instance"), [channels], kept)
    elif kind == "batch":
        call.write(name, [channels], kept | {"track_running_stats": "False"})
    elif kind in ("group", "layer"):
        groups = _groups(call, given) if kind == "group" else 1
        call.write("GroupNorm", [str(groups), channels], kept)
    else:
        raise Unwritable(f"{kind} norms are not written")


def _groups(call: CallSite, given: dict[str, str]) -> int:
    """The number of groups, from the written number of channels or from what was made."""
    if given["num_features"].isdecimal():
        return group_count(int(given["num_features"]))
    counts = {group_count(info.parameters // 2) for info in call.modules if info.parameters}
    if len(counts) != 1 or given.keys() & {"affine", "bias"}:
        raise Unwritable("the number of channels is not clear")
    return counts.pop()
