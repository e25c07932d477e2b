"""R104: a norm on what the next module takes in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import _norms
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies._norms import Norm
    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class NormInput(Remedy):
    """A norm on what the next module takes in.

    What it does:
        Normalises the last dimension of the input of the module that comes after the one that is
        named: after pooling, where there is some in between.

    When it helps:
        Where the scale of a whole sample is what is wrong. It is what people try first when an
        encoder's output drifts, and it comes too late where pooling has already drowned most
        positions. It is heard only when asked for.

    Parameters:
        ``kind``: ``rms`` (over the root mean square) or ``layer`` (the mean is subtracted, too).

    In the script:
        ``project(pooled)`` becomes ``project(F.rms_norm(pooled, pooled.shape[-1:]))``.

    Source:
        Ba et al. 2016, Layer Normalization; the investigation of a set encoder whose norm after
        pooling did not help.
    """

    code = "R104"
    name = "norm-input"
    treats = {"P103": 0.05}
    acts_on = "a module"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return _norms.KIND

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The module after the first that a symptom names; without symptoms, a root's children."""
        named = [symptom.where for symptom in symptoms if symptom.where in trace.modules]
        roots = {info.where for info in trace.modules.values() if info.parent is None}
        children = [info.where for info in trace.modules.values() if info.parent in roots]
        after = [where for where in (_next(trace, place) for place in named) if where]
        return after[:1] or children

    def apply(self, program: Program, action: Action) -> None:
        """Hook the norm before every target."""
        from remedies.surgery.tensors import change_first

        def hook(norm: Norm, module: nn.Module) -> nn.Module:
            def before(_: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                return change_first((args, kwargs), norm)

            module.register_forward_pre_hook(before, with_kwargs=True)
            return module

        for path in action.targets:
            norm = _norms.reporting_norm(program, action, path, "input")
            program.edit_module(action, path, partial(hook, norm))

    def advice(self, action: Action) -> str:
        """Where to put the norm."""
        return f"Put F.{_norms.function_name(action)} on the input of {action.target}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Put a norm without parameters before a linear layer, where it is made."""
        from remedies.source.layers import put_beside, sizes

        name = {"rms": "RMSNorm", "layer": "LayerNorm"}[str(action.params["kind"])]
        for call in source.constructors(action.targets):
            if not call.name.endswith("Linear"):
                raise Unwritable(f"what comes before {call.name} is for a person to say")
            put_beside(call, before=[f"{name}({sizes(call)[0]}, elementwise_affine=False)"])

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that puts the norm on what the module takes in."""
        from remedies.source.helpers import hook

        norm = _norms.function_name(action)
        given = "args[0], args[0].shape[-1:]"
        return hook(
            source, action.targets, True, lambda name: f"({name}.{norm}({given}), *args[1:])"
        )


def _next(trace: Trace, where: str) -> str | None:
    """The module of another class that is made next beside a module, or beside what holds it."""
    kind = trace.modules[where].type
    place: str | None = where
    while place is not None and place in trace.modules:
        parent = trace.modules[place].parent
        siblings = [info for info in trace.modules.values() if info.parent == parent]
        order = [info.where for info in siblings]
        later = siblings[order.index(place) + 1 :]
        found = next((info.where for info in later if info.type != kind), None)
        if found is not None:
            return found
        place = parent
    return None
