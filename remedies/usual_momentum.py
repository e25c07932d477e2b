"""R312: the usual momentum, betas and epsilon."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies._group_settings import during_steps
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.calls import CallSite
    from remedies.source.source import Source
    from remedies.surgery import Program

_USUAL = 0.9
_BETA2 = (0.9, 0.9999)
_LARGE_EPSILON = 1e-4
_SIGNATURES = {
    "SGD": ("params", "lr", "momentum"),
    "RMSprop": ("params", "lr", "alpha", "eps", "weight_decay", "momentum"),
    **dict.fromkeys(
        ("Adam", "AdamW", "NAdam", "RAdam", "Adamax"), ("params", "lr", "betas", "eps")
    ),
}


class UsualMomentum(Remedy):
    """The usual momentum, betas and epsilon.

    What it does:
        While the optimizer makes its step: the momentum of SGD, or beta1 of Adam, is the one that
        is asked for where the script has one at all; beta2 is 0.999 where the script's is below
        0.9 or above 0.9999; an epsilon of 1e-4 or more becomes 1e-8.

    When it helps:
        The momentum adds up so many steps that training swings past every valley, or the average
        of squares forgets, or never learns, how large gradients are, or epsilon outweighs it.

    Parameters:
        ``momentum``: from 0 to 0.95; 0.9 is tried first.

    In the script:
        ``momentum=0.9``, ``betas=(0.9, 0.999)``, ``eps=1e-8``.

    Source:
        Sutskever et al. 2013, On the importance of initialization and momentum; Kingma and Ba
        2015, Adam; Reddi et al. 2018, On the Convergence of Adam and Beyond.
    """

    code = "R312"
    name = "usual-momentum"
    treats = {"P307": 0.9}
    acts_on = "program"
    reach = "optimizer"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"momentum": Range(0.0, 0.95, default=_USUAL)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The whole program."""
        return [""]

    def apply(self, program: Program, action: Action) -> None:
        """Change the settings before each step and put them back afterwards."""
        momentum = float(action.params["momentum"])
        if not 0 <= momentum < 1:
            raise ValueError(f"{action}: the momentum must be in [0, 1)")
        during_steps(program, action, lambda group: usual_settings(group, momentum))

    def advice(self, action: Action) -> str:
        """Which settings to write."""
        momentum = float(action.params["momentum"])
        return (
            f"Make the optimizer with momentum={momentum:.3g} (SGD) or "
            f"betas=({momentum:.3g}, 0.999), eps=1e-8 (Adam)."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Write the settings where the optimizers are made."""
        for call in source.optimizers():
            _write(call, float(action.params["momentum"]))


def usual_settings(group: Mapping[str, Any], momentum: float) -> dict[str, Any]:
    """The settings of a parameter group that are to be others."""
    found: dict[str, Any] = {}
    if group.get("momentum"):
        found["momentum"] = momentum
    betas = group.get("betas")
    if isinstance(betas, (tuple, list)) and len(betas) == 2:
        low, high = _BETA2
        found["betas"] = (momentum, betas[1] if low <= betas[1] <= high else 0.999)
    if isinstance(group.get("eps"), float) and group["eps"] >= _LARGE_EPSILON:
        found["eps"] = 1e-8
    return found


def _write(call: CallSite, momentum: float) -> None:
    signature = _SIGNATURES.get(call.name.rpartition(".")[2])
    if signature is None:
        raise Unwritable(f"the settings of {call.name} are others")
    given = call.arguments(*signature)
    if "betas" in signature:
        given.setdefault("betas", "(0.9, 0.999)")
    held = {name: _value(code) for name, code in given.items() if name in ("betas", "eps")}
    if "momentum" in given:
        held["momentum"] = _value(given["momentum"], computed=1.0)
    for name, value in usual_settings(held, momentum).items():
        if value != held[name]:
            call.set(name, _code(value), *signature)


def _value(code: str, computed: object = None) -> Any:
    """What an argument is, if it is a constant."""
    try:
        return ast.literal_eval(code)
    except ValueError as error:
        if computed is None:
            raise Unwritable(f"{code} is computed") from error
        return computed


def _code(value: float | tuple[float, float]) -> str:
    numbers = value if isinstance(value, tuple) else (value,)
    written = ", ".join(f"{number:.6g}" for number in numbers)
    return f"({written})" if isinstance(value, tuple) else written
