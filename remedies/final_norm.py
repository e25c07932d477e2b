"""R103: a norm on all that a module puts out, before whatever follows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from probes._scales import norm_comes_next
from probes.facts import ModuleInfo
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


class FinalNorm(Remedy):
    """A norm on all that a module puts out, before whatever follows.

    What it does:
        Normalises each position (the last dimension) of the module's output. Of several tensors,
        in a tuple or a dictionary, the first is normalised. The norm has no parameters.

    When it helps:
        Residual layers add to a stream that nothing bounds. Where a few positions grow far above
        the others, an average over the positions hears only those; a norm after the average comes
        too late.

    Parameters:
        ``kind``: ``rms`` (over the root mean square) or ``layer`` (the mean is subtracted, too).

    In the script:
        ``return context`` becomes ``return F.rms_norm(context, context.shape[-1:])`` in the
        ``forward`` of the class.

    Source:
        Zhang and Sennrich 2019, Root Mean Square Layer Normalization; Xiong et al. 2020, On Layer
        Normalization in the Transformer Architecture (the final norm of pre-norm models).
    """

    code = "R103"
    name = "final-norm"
    treats = {"P103": 0.8}
    acts_on = "a module"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return _norms.KIND

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The modules that symptoms name, those of one class together; else a root's children."""
        named = [trace.modules[s.where] for s in symptoms if s.where in trace.modules]
        roots = {info.where for info in trace.modules.values() if info.parent is None}
        by_class: dict[str, list[str]] = {}
        for info in named:
            by_class.setdefault(info.type, []).append(info.where)
        yield from (",".join(dict.fromkeys(places)) for places in by_class.values())
        if not named:
            yield from (info.where for info in trace.modules.values() if info.parent in roots)

    def apply(self, program: Program, action: Action) -> None:
        """Hook the norm onto every target."""
        from remedies.surgery.tensors import change_first

        def hook(norm: Norm, module: nn.Module) -> nn.Module:
            module.register_forward_hook(lambda _, inputs, output: change_first(output, norm))
            return module

        for path in action.targets:
            norm = _norms.reporting_norm(program, action, path, "output")
            program.edit_module(action, path, partial(hook, norm))

    def advice(self, action: Action) -> str:
        """What to return instead."""
        function = _norms.function_name(action)
        return (
            f"Return F.{function}(output, output.shape[-1:]) from the forward of {action.target}, "
            "in place of the bare output."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Wrap what the ``forward`` of the class returns."""
        function = _norms.function_name(action)
        places = {_definition(source.trace, path) for path in action.targets}
        for info in source.trace.modules.values():
            if info.defined in places and info.where not in action.targets:
                _check_unchanged(source.trace, info)
        for place in sorted(places):
            source.wrap_return(place, function)

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that puts the norm on what the module gives."""
        from remedies.source.helpers import hook

        for path in action.targets:
            _definition(source.trace, path)
        norm = _norms.function_name(action)
        shape = "output.shape[-1:]"
        return hook(source, action.targets, False, lambda name: f"{name}.{norm}(output, {shape})")


def _definition(trace: Trace, path: str) -> str:
    """The line that defines the ``forward`` of a target that returns one tensor."""
    info = trace.modules.get(path)
    alone = set(trace.signal("train", path, "scale.alone").values)
    if info is None or info.defined is None:
        raise Unwritable(f"{path} is not of a class of the user's own")
    if alone != {1.0}:
        raise Unwritable(f"{path} does not return a single tensor")
    return info.defined


def _check_unchanged(trace: Trace, info: ModuleInfo) -> None:
    """A norm changes nothing for another module of the class where a norm comes next anyway."""
    if not norm_comes_next(trace, info.where):
        raise Unwritable(f"{info.where} is of the same class")
