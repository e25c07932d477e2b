"""R902: classes weighed by how rare they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes._class_weights import are_upside_down
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _classes
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_LOSSES = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)


class WeighClasses(Remedy):
    """Classes weighed by how rare they are.

    What it does:
        Gives the calls of a classification loss in training the weights of the classes, from how
        often their labels occurred so far: the inverse of their share, or its square root, with a
        mean of one over the samples. A call that has weights of its own keeps them, unless they
        weigh a class the more, the commoner it is.

    When it helps:
        A rare class is hardly ever predicted, because it hardly counts in the mean over the samples
        and the metric gives it as much weight as the others.

    Parameters:
        ``power``: ``inverse`` frequency, or its ``root``.

    In the script:
        ``nn.CrossEntropyLoss(weight=n / (classes * counts))``, or
        ``nn.BCEWithLogitsLoss(pos_weight=negatives / positives)``.

    Source:
        King and Zeng 2001, Logistic Regression in Rare Events Data; Cui et al. 2019, Class-Balanced
        Loss Based on Effective Number of Samples.
    """

    code = "R902"
    name = "weigh-classes"
    treats = {"P904": 0.9, "P501": 0.2}
    acts_on = "a loss term"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"power": Choice(("inverse", "root"))}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The terms that the symptoms name; without symptoms, every classification loss."""
        losses = [info.where for info in trace.terms.values() if info.operation in _LOSSES]
        named = list(dict.fromkeys(s.where for s in symptoms))
        return [where for where in named if where in losses] or ([] if named else losses)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of classification losses."""
        from remedies.surgery.weighing import ClassWeights

        def tell(detail: str) -> None:
            program.report(action, action.target, detail)

        power = 1.0 if action.params["power"] == "inverse" else 0.5
        program.rewrite_calls(ClassWeights(power, tell))

    def advice(self, action: Action) -> str:
        """Which weights to give."""
        root = "the square root of " if action.params["power"] == "root" else ""
        return (
            f"Weigh the classes in {action.target or 'the loss'} by {root}the inverse of their "
            "share (weight= of the cross entropy, pos_weight= of the binary one)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Write the weights by the shares of the labels that were seen."""
        from remedies.source.imports import written_name
        from remedies.source.losses import loss_at, weigh

        root = action.params["power"] == "root"
        for name in action.targets:
            info = source.trace.terms.get(name)
            if info is None:
                raise Unwritable(f"{name} was not seen")
            file, line = source.place(info.source)
            shares = _classes.shares(source.trace, info.source or "")
            own = _classes.weights(source.trace, info.source or "")
            wrong = len(own) == len(shares) and are_upside_down(own, shares)
            weights = [1 / (share * len(shares)) for share in shares]
            weights = [weight**0.5 for weight in weights] if root else weights
            weigh(loss_at(file, line), weights, written_name(file, "torch.tensor"), instead=wrong)
