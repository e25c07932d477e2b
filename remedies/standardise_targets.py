"""R907: an output layer that begins at the level and scale of the targets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _heads
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.source import Source
    from remedies.surgery import Program


class StandardiseTargets(Remedy):
    """An output layer that begins at the level and scale of the targets.

    What it does:
        Multiplies what the output layer says by the standard deviation of the targets of the first
        batch, adds their mean, and divides its gradient by the former: the model learns
        standardised targets, and the script goes on with predictions in their own units. The first
        step, before the targets are known, is made without a gradient.

    When it helps:
        Targets are far from what a fresh model says, and reaching their level takes all steps, or
        the gradient overflows.

    Parameters:
        None.

    In the script:
        ``mean, std = y.mean(), y.std()`` of the training targets, a loss of ``model(x)`` and
        ``(y - mean) / std``, and predictions ``model(x) * std + mean``.

    Source:
        LeCun et al. 1998, Efficient BackProp, section 4.5.
    """

    code = "R907"
    name = "standardise-targets"
    treats = {"P907": 0.9}
    acts_on = "the output layer"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The layer with parameters that is the last at work in a forward pass."""
        return _heads.head(trace)

    def apply(self, program: Program, action: Action) -> None:
        """Hook the output of every target, and look at the targets of the first loss."""
        from remedies.surgery.target_units import TargetUnits

        for path in action.targets:
            units = TargetUnits(lambda said: program.report(action, action.target, said))
            program.rewrite_calls(units)

            def hook(module: nn.Module, units: TargetUnits = units) -> nn.Module:
                module.register_forward_hook(lambda _, given, output: units.scaled(output))
                return module

            program.edit_module(action, path, hook)

    def advice(self, action: Action) -> str:
        """What to do with the targets."""
        return (
            "Standardise the targets with the mean and standard deviation of the training data, "
            f"and scale what {action.target or 'the model'} says back for predictions."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Scale what the output layer says, and add the mean, where the layer is called."""
        from remedies.source.heads import in_units

        places = source.trace.places("target.mean")
        if len(places) != 1 or len(action.targets) != 1:
            raise Unwritable("there are several losses, or output layers")
        if any(not info.type.startswith("Adam") for info in source.trace.loops.values()):
            raise Unwritable("the gradient has to be divided, too, for this optimizer")
        mean, deviation = (
            source.trace.signal("train", places[0], f"target.{name}").values
            for name in ("mean", "std")
        )
        source.open_all()
        in_units(
            source.files,
            action.target,
            sum(mean) / len(mean),
            sum(deviation) / len(deviation),
        )
