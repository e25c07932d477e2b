"""R102: running statistics of a norm, estimated anew."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _running_norms
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.source import Source
    from remedies.surgery import Program

_WRITTEN = {"momentum": "0.1", "cumulative": "None"}


class ReestimateStatistics(Remedy):
    """Running statistics of a norm, estimated anew.

    What it does:
        Keeps the norms and what they do in training, bit for bit, but has their running mean and
        variance follow the training batches by another rule.

    When it helps:
        The running statistics that evaluation uses are not those of the data: the momentum is tiny
        or decays, or belongs to another framework's convention, or the norm is frozen on foreign
        statistics. Unlike another norm it leaves training, and a trained model, as they are.

    Parameters:
        ``how``: ``momentum`` (a moving average with momentum 0.1, even where the script sets it to
        something else later), ``cumulative`` (the average over all batches so far) or
        ``recalibrate`` (before each evaluation, those that the last 16 training batches have under
        the weights of now: a copy of the model is run on them; where it cannot be copied, or is
        not called as a whole, those that the batches had when they were trained on). A norm that
        is kept in evaluation mode is reached while the outermost model is in training mode; where
        all of the model is in evaluation mode, it is not. Norms without a ``momentum`` are left
        alone.

    In the script:
        ``nn.BatchNorm1d(32, momentum=0.1)`` or ``momentum=None``, and no line that changes the
        momentum later; or a pass over training batches, in training mode and without gradients,
        before each evaluation.

    Source:
        Wu and Johnson 2021, Rethinking "Batch" in BatchNorm, for precise statistics;
        `torch.optim.swa_utils.update_bn` does the same over a whole loader.
    """

    code = "R102"
    name = "reestimate-statistics"
    treats = {"P101": 0.6, "P102": 0.6}
    acts_on = "norm modules with running statistics"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"how": Choice(("momentum", "cumulative", "recalibrate"))}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All norms with running statistics, together: they all have the same momentum, usually."""
        return _running_norms.all_as_one(trace)

    def apply(self, program: Program, action: Action) -> None:
        """Hook another rule onto every target."""
        from remedies.surgery.recalibration import Recalibration
        from remedies.surgery.running import RULES, RunningStatistics

        how = str(action.params["how"])
        if how not in RULES:
            raise ValueError(f"{self.name}: unknown rule {how!r} (known: {', '.join(RULES)})")
        passes: dict[int, Recalibration] = {}

        def hook(path: str, norm: nn.Module) -> nn.Module:
            if not hasattr(norm, "momentum"):
                return norm
            root = program.root_of(norm)
            detail = f"statistics of {norm} by {how}"
            RunningStatistics(
                norm, how, root, lambda: program.report(action, path, detail)
            ).attach()
            if how == "recalibrate" and root is not norm:
                passes.setdefault(id(root), Recalibration(root)).include(norm)
            return norm

        for path in action.targets:
            program.edit_module(action, path, partial(hook, path))

    def advice(self, action: Action) -> str:
        """Which momentum to write, or what to do before each evaluation."""
        where = action.target or "the norms with running statistics"
        how = str(action.params["how"])
        if how == "recalibrate":
            return f"Recompute the running statistics of {where} before each evaluation."
        return f"Make {where} with momentum={_WRITTEN[how]}, and leave it at that."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write the momentum into the constructor, where nothing else sets it."""
        how = str(action.params["how"])
        if how not in _WRITTEN:
            raise Unwritable("a recalibration is not written")
        if source.assigns("momentum"):
            raise Unwritable("the script sets the momentum itself")
        for call in source.constructors(action.targets):
            given = call.arguments(*_running_norms.SIGNATURE)
            if not call.name.startswith("torch.nn.BatchNorm"):
                raise Unwritable(f"{call.name} has no momentum that is known")
            channels = given.pop("num_features")
            kind = call.name.rpartition(".")[2]
            call.write(kind, [channels], given | {"momentum": _WRITTEN[how]})
