"""R603: a skip connection around the layers of a stack."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from probes.facts import ModuleInfo
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import Tensor, nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program

_FEWEST = 2


class AddSkip(Remedy):
    """A skip connection around the layers of a stack.

    What it does:
        Adds to the output of each of several modules of one class, one after the other, what it
        was given, where both have the same shape.

    When it helps:
        In a deep stack every layer mixes (attention, a graph, a recurrence) or squashes what it is
        given, and after a few nothing is left that differs between rows. Beside a skip connection
        each layer only has to add to what is there, and the gradient has a short way back.

    Parameters:
        None.

    In the script:
        ``x = block(x)`` becomes ``x = x + block(x)``.

    Source:
        He et al. 2016, Deep Residual Learning for Image Recognition; Dong et al. 2021, Attention Is
        Not All You Need.
    """

    code = "R603"
    name = "add-skip"
    treats = {"P703": 0.8, "P602": 0.35}
    acts_on = "modules that keep the shape"
    reach = "model"

    @property
    def space(self) -> Space:
        """It has no parameters."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The outermost modules with siblings that keep the shape and have no skip yet."""
        groups: dict[tuple[str | None, str], list[str]] = {}
        for where in trace.places("spread.keeps"):
            info = trace.modules.get(where)
            if info is not None and _may_have_one(trace, info):
                groups.setdefault((info.parent, info.type), []).append(where)
        named = [symptom.where for symptom in symptoms]
        found = [group for group in groups.values() if len(group) >= _FEWEST]
        found = [group for group in found if not _within_another(group, found)]
        found.sort(key=lambda group: not any(_around(where, named) for where in group))
        yield from (",".join(group) for group in found)

    def apply(self, program: Program, action: Action) -> None:
        """Hook the addition onto every target."""
        from remedies.surgery.tensors import change_first

        if not action.targets:
            raise ValueError(f"{action}: needs a module")

        def added(path: str, given: tuple[object, ...], output: Tensor) -> Tensor:
            first = given[0] if given else None
            if getattr(first, "shape", None) != output.shape:
                return output
            program.report(action, path, f"its input added to the output of {path}")
            result: Tensor = output + first  # type: ignore[operator]
            return result

        def hook(path: str, module: nn.Module) -> nn.Module:
            module.register_forward_hook(
                lambda _, given, output: change_first(output, partial(added, path, given))
            )
            return module

        for path in action.targets:
            program.edit_module(action, path, partial(hook, path))

    def advice(self, action: Action) -> str:
        """What to add to what."""
        return f"Add its input to the output of each of {action.target}: x = x + layer(x)."

    def rewrite(self, source: Source, action: Action) -> None:
        """Add the input where the modules are called."""
        from remedies.source.residuals import add_skips

        source.open_all()
        add_skips(source.files, action.targets)

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook that adds what the modules are given."""
        from remedies.source.helpers import hook

        return hook(source, action.targets, False, lambda name: "output + args[0]")


def _may_have_one(trace: Trace, info: ModuleInfo) -> bool:
    """Whether it mixes or maps features and is in no residual branch as it is."""
    keeps = trace.signal("train", info.where, "spread.keeps").values
    if not keeps or keeps[-1] != 1.0 or "Norm" in info.type:
        return False
    residual = trace.places("branch.ratio")
    return not any(
        info.where == where or where.startswith(info.where + ".") or _is_in(info.where, where)
        for where in residual
    )


def _is_in(where: str, other: str) -> bool:
    return where.startswith(other + ".")


def _within_another(group: list[str], groups: list[list[str]]) -> bool:
    return any(
        _is_in(where, other) for other_group in groups for other in other_group for where in group
    )


def _around(where: str, named: list[str]) -> bool:
    return any(name == where or _is_in(name, where) for name in named)
