"""R810: the loss is given the scores from before the activation function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.symptom import Symptom
from probes.trace import Trace
from remedies._named import named
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class DropActivation(Remedy):
    """The loss is given the scores from before the activation function.

    What it does:
        Where ``cross_entropy`` or ``binary_cross_entropy_with_logits`` is given the output of an
        activation, it gets what the activation was given; where ``nll_loss`` or ``kl_div`` is
        given probabilities or raw scores, it gets the log_softmax. That holds for the call of the
        loss alone: all else in the program goes on with the output of the activation.

    When it helps:
        The loss has a softmax or sigmoid of its own, and the model ends in another one.

    Parameters:
        None.

    In the script:
        Take the activation out of the model, or call the loss with what goes into it; apply it
        where probabilities are needed (``model(x).softmax(-1)``).

    Source:
        The documentation of ``torch.nn.CrossEntropyLoss`` and ``torch.nn.NLLLoss``.
    """

    code = "R810"
    name = "drop-activation"
    treats = {"P810": 0.95}
    acts_on = "an activation, or a loss term"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The activations or loss terms that the symptoms name."""
        return named(symptoms, trace)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of such losses."""
        from remedies.surgery.loss_inputs import Unactivated

        def tell(detail: str) -> None:
            program.report(action, action.target, detail)

        program.rewrite_calls(Unactivated(tell))

    def advice(self, action: Action) -> str:
        """What to take out."""
        return (
            f"Give the loss the raw scores: no activation at {action.target or 'its input'} "
            "(log_softmax for nll_loss and kl_div)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Put a module that fits the loss in the place of a softmax module.

        Raises:
            Unwritable: The target is no softmax module of torch. (What comes out of a sigmoid is
                likely to be compared with a threshold elsewhere.)
        """
        if any(target not in source.trace.modules for target in action.targets):
            raise Unwritable("the activation is no module")
        places = source.trace.places("loss.activated")
        logarithms = any(place.endswith(("|nll_loss", "|kl_div")) for place in places)
        for site in source.constructors(action.targets):
            if site.name != "torch.nn.Softmax":
                raise Unwritable(f"what comes out of {site.name} may be needed elsewhere")
            if logarithms:
                site.write("LogSoftmax", [], site.arguments("dim"))
            else:
                site.write("Identity", [], {})
