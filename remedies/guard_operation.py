"""R604: a function kept away from where it is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program

_WRITTEN = {
    "log": "clamp(min={0})",
    "log2": "clamp(min={0})",
    "log10": "clamp(min={0})",
    "sqrt": "clamp(min={0})",
    "rsqrt": "clamp(min={0})",
    "logit": "clamp({0}, 1 - {0})",
    "acos": "clamp({0} - 1, 1 - {0})",
    "asin": "clamp({0} - 1, 1 - {0})",
    "exp": "clamp(max=30)",
}
"""What is put behind the argument of a function."""
_OTHERS = {
    "log1p", "div", "__truediv__", "true_divide", "reciprocal", "__rdiv__", "__rtruediv__", "pow",
    "__pow__", "norm", "vector_norm", "std", "softmax", "log_softmax",
}  # fmt: skip


class GuardOperation(Remedy):
    """A function kept away from where it is not finite.

    What it does:
        Limits the input of the function at one line: above a small positive number for logarithms
        and roots, away from zero for divisors, below 30 for exponentials, within the open interval
        for logit, arcsine and arccosine; masked scores stay finite before a softmax.

    When it helps:
        A single sample takes the logarithm of zero, the gradient of a root at zero, or a division
        by zero, and the NaN spreads over all weights.

    Parameters:
        ``epsilon``: how far it is kept away.

    In the script:
        ``torch.log(p)`` becomes ``torch.log(p.clamp(min=1e-06))``, ``a / b`` becomes
        ``a / b.clamp(min=1e-06)`` where ``b`` is not negative.

    Source:
        IEEE 754 arithmetic; the clamped logarithm of ``torch.nn.BCELoss``.
    """

    code = "R604"
    name = "guard-operation"
    treats = {"P301": 0.8}
    acts_on = "a call of a torch function"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"epsilon": Choice((1e-6, 1e-3, 1e-12), usual=1)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The call that made the first number that is not finite."""
        culprit = trace.non_finite
        if culprit is not None and culprit.operation in {*_WRITTEN, *_OTHERS}:
            yield f"{culprit.operation}@{culprit.source}"

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls at the line."""
        from torch import Tensor

        from remedies.surgery.guards import guarded

        epsilon = float(action.params["epsilon"])
        if epsilon <= 0:
            raise ValueError(f"{action}: epsilon must be positive")
        wanted = {tuple(target.split("@", 1)): target for target in action.targets}
        names = {key[0] for key in wanted}

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            name = getattr(func, "__name__", "")
            if name not in names or not args or not isinstance(args[0], Tensor):
                return NotImplemented
            target = wanted.get((name, program.line() or ""))
            if target is None:
                return NotImplemented
            program.report(action, target, f"{name} guarded by {epsilon:g}")
            return guarded(func, args, kwargs, epsilon)

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """What to limit."""
        operation, _, line = action.target.partition("@")
        limit = _WRITTEN.get(operation, "clamp(min={0})").format(f"{action.params['epsilon']:g}")
        return f"Limit what {operation} is given at {line or 'that line'}: x.{limit}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Limit the argument at the line."""
        for target in action.targets:
            operation, _, line = target.partition("@")
            if operation not in _WRITTEN:
                raise Unwritable(f"{operation} is not limited in a script")
            limit = _WRITTEN[operation].format(f"{action.params['epsilon']:g}")
            source.limit_argument(line, operation, limit)
