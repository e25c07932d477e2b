"""R804: a tensor stays in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from probes._parts import parts
from probes.idle_parameters import CURABLE, cut_of
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class KeepGradient(Remedy):
    """A tensor stays in the graph.

    What it does:
        At one line of the script, lets ``detach()`` and ``.data`` give the tensor itself, and has a
        block of ``no_grad`` compute with gradients. Parameters that ask for no gradient and are
        used at the line ask for one. What the script keeps of them for later steps, such as a
        running mean or a state, is taken out of the graph then.

    When it helps:
        A module whose output was taken out of the graph by mistake is not trained. A state that is
        detached from one position of a sequence to the next learns nothing of what came before.

    Parameters:
        None.

    In the script:
        ``features = self.encoder(x).detach()`` becomes ``features = self.encoder(x)``. A state that
        a step takes over from the one before is detached before the loop over its time steps.

    Source:
        The documentation of ``torch.Tensor.detach``.
    """

    code = "R804"
    name = "keep-gradient"
    treats = {"P804": 0.8, "P814": 0.8, "P352": 0.3}
    acts_on = "lines that cut the graph"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The first parameter that each cut keeps out, with the line; lines within modules.

        A state may be cut in two lines, its memory in the other one: first all such lines at once.
        """
        symptoms = list(symptoms)
        named = {symptom.where for symptom in symptoms if symptom.code == "P804"}
        found: dict[str, str] = {}
        for part in parts(trace, "idle"):
            cut = cut_of(trace, part)
            if cut is not None and cut[0] in CURABLE and (part.where in named or not symptoms):
                found.setdefault(cut[1], f"{_with_cut(trace, part.parameters, cut)}@{cut[1]}")
        around = {place.rpartition("@")[2]: place for place in trace.places("recurrence.rounds")}
        sick = {symptom.source for symptom in symptoms if symptom.code == "P814"}
        cut_off = [place for line, place in around.items() if line in sick or not symptoms]
        if not symptoms or any("skill" in symptom.evidence for symptom in symptoms):
            for place, line in _within_modules(trace):
                found.setdefault(line, around.get(line, place))
        every = [",".join(cut_off), *cut_off, *found.values()]
        yield from dict.fromkeys(target for target in every if target)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of the line, and open its blocks, in another way."""
        import sys

        import torch
        from torch import nn

        from remedies.surgery.old_graphs import OldGraphs

        lines = {target.rpartition("@")[2] for target in action.targets}

        def tell(what: str) -> None:
            program.report(action, action.target, f"{what} leaves the tensor in the graph")

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
            name = _name(func)
            if name in ("detach", "data") and program.line() in lines:
                tell(name)
                return args[0]
            if name not in ("__get__", "requires_grad") and torch.is_grad_enabled():
                for value in args:
                    held = isinstance(value, nn.Parameter) and not value.requires_grad
                    if held and value.is_floating_point() and program.line() in lines:
                        value.requires_grad_(True)
                        tell("requires_grad")
            return NotImplemented

        entered = torch.no_grad.__enter__

        def enter(block: torch.no_grad) -> None:
            entered(block)
            frame = sys._getframe(1)
            if frame.f_code.co_name == "decorate_context" and frame.f_back is not None:
                frame = frame.f_back
            if program.line_of(frame) in lines:
                torch.set_grad_enabled(block.prev)
                tell("no_grad")

        old = OldGraphs()
        program.each_optimizer(old.add)
        program.around_steps(lambda optimizer: None, old.stepped)
        program.rewrite_calls(rewrite)
        program.rewrite_calls(old.rewrite)
        program.replace(torch.no_grad, "__enter__", enter)

    def advice(self, action: Action) -> str:
        """What to take out, and where."""
        lines = ", ".join(target.rpartition("@")[2] for target in action.targets)
        return (
            f"Take out what keeps the tensor from its gradient at {lines or 'that line'} "
            f"(detach(), .data, no_grad, requires_grad=False). A state that a step takes over from "
            "the one before is detached once, before its loop."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Take out the ``detach()``, the ``.data``, or the block of ``no_grad``."""
        lines = {target.rpartition("@")[2] for target in action.targets}
        if not lines:
            raise Unwritable("no line is named")
        for line in sorted(lines):
            source.keep_in_graph(line)


def _within_modules(trace: Trace) -> Iterator[tuple[str, str]]:
    """The cuts that lie within the forward pass of a module, and their lines."""
    for kind in ("detach", "data"):
        for place in trace.places(f"cut.{kind}"):
            name, _, line = place.partition("@")
            if name == kind:
                yield place, line


def _with_cut(trace: Trace, parameters: list[str], cut: tuple[str, str]) -> str:
    name = f"cut.{cut[0]}"
    return next(p for p in parameters if trace.signal("train", f"{p}@{cut[1]}", name))


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    return name
