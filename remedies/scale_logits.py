"""R705: logits multiplied by a factor before their loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes._loss_functions import CATEGORICAL
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Range, Space, Value
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_LOW, _HIGH, _USUAL = 2.0, 4096.0, 16.0


class ScaleLogits(Remedy):
    """Logits multiplied by a factor before their loss.

    What it does:
        Multiplies what the cross-entropies at some lines are given, in training and in evaluation.
        Where that are logarithms of probabilities, they are normalised again.

    When it helps:
        Similarities of normalised vectors have no scale, or a temperature is far too large: all
        classes stay about equally likely, however right their order is.

    Parameters:
        ``factor``: nine tenths of what any factor on the logits of the observed run would take off
        the loss come off with the one that is tried first; 2 to 4096 are searched on a log scale.

    In the script:
        ``F.cross_entropy(similarity / 0.07, pairs)``, or ``30 * cosines``; or learn it, as
        ``logit_scale.exp() * similarity``.

    Source:
        Wang et al. 2017, NormFace: L2 Hypersphere Embedding for Face Verification; Radford et al.
        2021, Learning Transferable Visual Models From Natural Language Supervision (logit_scale).
    """

    code = "R705"
    name = "scale-logits"
    treats = {"P705": 0.9}
    acts_on = "lines that compute a cross-entropy"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"factor": Range(_LOW, _HIGH, default=_USUAL, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All lines at once that the symptoms name; without symptoms, all that were seen."""
        seen, symptoms = trace.places("logits.loss"), list(symptoms)
        named = {symptom.source for symptom in symptoms}
        lines = [line for line in seen if line in named or not symptoms]
        if lines:
            yield ",".join(lines)

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """The least of the factors that were found for the lines."""
        factors = [symptom.evidence.get("factor", _USUAL) for symptom in symptoms]
        factor = min(_HIGH, max(_LOW, min(factors, default=_USUAL)))
        params: dict[str, Value] = {"factor": factor}
        return Action(remedy=self.code, name=self.name, target=target, params=params)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the lines."""
        from remedies.surgery.logits import scaled_loss

        factor = float(action.params["factor"])
        if factor <= 0 or not action.targets:
            raise ValueError(f"{action}: needs a line and a factor that is positive")

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if getattr(func, "__name__", "") not in CATEGORICAL:
                return NotImplemented
            line = program.line() or ""
            if line not in action.targets:
                return NotImplemented
            program.report(action, line, f"logits times {factor:.4g}")
            return scaled_loss(func, args, kwargs, factor)

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """What to multiply."""
        factor = float(action.params["factor"])
        return (
            f"Multiply the logits that the loss at {' and '.join(action.targets) or 'that line'} "
            f"is given by {factor:.3g} (make their temperature {factor:.3g} times smaller), or let "
            "the model learn their scale."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Multiply what the losses are given."""
        from remedies.source.logits import scale

        for line in action.targets:
            scale(*source.place(line), float(action.params["factor"]))
