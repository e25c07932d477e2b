"""The living program as the remedies see it: what can be changed, when, and whether it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from probes.tap import Tap
from probes.tap.losses import TermListener
from probes.tap.noise_places import module_at_work
from probes.tap.terms import LossTerm
from probes.tap.twins import Twin
from probes.trace import Event
from remedies.surgery.calls import CallRewriter, Rewrite
from remedies.surgery.loops import TrainingLoops
from remedies.surgery.muting import NoiseMute
from remedies.treatment import Action, Treatment

ModuleEdit = Callable[[nn.Module], nn.Module]


@dataclass(slots=True)
class _PendingEdit:
    action: Action
    path: str
    edit: ModuleEdit


class Program:
    """The program of one trial, under one treatment.

    Every change reports itself with an ``applied`` event when it really took effect: a module when
    the changed one was called, a term when it was scaled in a backward pass, an optimizer when it
    made a step. A treatment without such an event is inert.

    Args:
        tap: The tap that observes the program.
        treatment: What to change in it.
        emit: Takes the ``applied`` events.
        arguments: What the script is given on its command line. Remedies may change it.

    Attributes:
        names: Global names of the script that mean something else from its first line on.
    """

    def __init__(
        self,
        tap: Tap,
        treatment: Treatment,
        emit: Callable[[Event], None],
        arguments: Iterable[str] = (),
    ) -> None:
        self._tap = tap
        self._treatment = treatment
        self._emit = emit
        self._edits: list[_PendingEdit] = []
        self._reported: set[tuple[str, str]] = set()
        self._undo: list[Callable[[], None]] = []
        self._rewriter: CallRewriter | None = None
        self._mute: NoiseMute | None = None
        self.arguments = list(arguments)
        self.names: dict[str, object] = {}

    def install(self) -> None:
        """Let every remedy of the treatment say what it will change.

        Raises:
            UnknownUnitError: A remedy is not registered here.
            ValueError: An action makes no sense.
        """
        from remedies import remedies

        for action in self._treatment:
            remedies[action.remedy].apply(self, action)
        if self._edits:
            self._tap.on_root.append(self._edit_root)

    def close(self) -> None:
        """Take back what was hooked into torch."""
        while self._undo:
            self._undo.pop()()

    def edit_module(self, action: Action, path: str, edit: ModuleEdit) -> None:
        """Replace a module before the first step, by what ``edit`` makes of it.

        Where ``edit`` returns the module itself (with a hook on it, say), the remedy reports.
        Parameters that the new module shares with the old one stay with their optimizer; new ones
        join the parameter group of their neighbours.
        """
        self._edits.append(_PendingEdit(action, path, edit))

    def root_of(self, module: nn.Module) -> nn.Module:
        """The outermost module that contains a module; itself where that is not known."""
        roots = self._tap.tree.roots.values()
        return next((r for r in roots if any(m is module for m in r.modules())), module)

    def name_of(self, parameter: Tensor) -> str | None:
        """Path of a parameter; the variable that holds it where no known module has it."""
        self._tap.lifecycle.owners.refresh()
        return self._tap.lifecycle.owners.name(parameter)

    def line(self) -> str | None:
        """The user's line that is at work, ``train.py:12``."""
        return self._tap.sources.line()

    def line_of(self, frame: FrameType) -> str | None:
        """The line that a frame is at; None where it is not of the user's code."""
        sources = self._tap.sources
        if sources.name(frame.f_code.co_filename) is None:
            return None
        return sources.place(frame.f_code, frame.f_lineno)

    def module_name(self, module: nn.Module) -> str | None:
        """Path of a module; None where it hangs from no root that was seen."""
        return self._tap.tree.name(module)

    @property
    def roots(self) -> list[nn.Module]:
        """The models that were seen so far."""
        return list(self._tap.tree.roots.values())

    @property
    def copies(self) -> list[Twin]:
        """The copies of what is trained that are known by now."""
        return self._tap.averages.twins.found

    def parameter_names(self) -> dict[int, str]:
        """Paths of all parameters of these models, by identity."""
        return self._tap.tree.parameter_names()

    def froze_by_attribute(self, thing: object) -> bool:
        """Whether the script set an attribute on it that looks as if it froze it."""
        return self._tap.frozen.flags.line(thing) is not None

    def first_root(self) -> str | None:
        """Name of the model whose parameters are named without it; None before it is known."""
        first = self._tap.tree.roots.get("")
        return None if first is None else self._tap.tree.name(first)

    def scale_term(self, action: Action, name: str, factor: Callable[[], float]) -> None:
        """Multiply the gradient of one loss term, in every backward pass.

        The value that the script sees and prints stays what it is.
        """

        def scale(loss: Tensor, terms: list[LossTerm]) -> None:
            weight = factor()
            for term in terms:
                if term.name == name:
                    scale_gradient(term, weight)
                    self.report(action, name, f"gradient times {weight:.4g}")

        self.on_backward(scale)

    def on_backward(self, listener: TermListener) -> None:
        """Have something told of every loss and its terms, before its backward pass."""
        self._tap.losses.listeners.append(listener)
        self._tap.calls.switch_on()

    def lengthen_training(self, action: Action, factor: float) -> None:
        """Let the loops over ``range`` that the training runs in make so many times the rounds."""
        loops = TrainingLoops(
            factor,
            self._tap.sources.stack,
            lambda: self._tap.step,
            lambda detail: self.report(action, "", detail),
        )
        self._tap.on_optimizer.append(loops.optimizer_made)
        self.names["range"] = loops.stand_in()

    @property
    def step(self) -> int:
        """Optimizer steps done so far."""
        return self._tap.step

    def module_name_at_work(self) -> str | None:
        """Path of the innermost module at work; None outside of all."""
        module = module_at_work(self._tap.tree)
        return None if module is None else self.module_name(module)

    def inside_module(self) -> bool:
        """Whether a module of the program is at work."""
        return module_at_work(self._tap.tree) is not None

    def each_root(self, change: Callable[[nn.Module], None]) -> None:
        """Have something done with every model before its first forward pass."""
        self._tap.on_root.append(lambda label: change(self._tap.tree.roots[label]))

    def rewrite_calls(self, rewrite: Rewrite) -> None:
        """Let ``rewrite`` answer calls of torch functions in the place of torch."""
        if self._rewriter is None:
            self._rewriter = CallRewriter()
            self._rewriter.put_on()
            self._undo.append(self._rewriter.take_off)
        self._rewriter.rewrites.append(rewrite)

    def mute_noise(self, action: Action, place: str) -> None:
        """Let no noise be added at a place; it is drawn all the same."""
        if self._mute is None:
            self._mute = NoiseMute(self._tap.noise.places)
            self.rewrite_calls(self._mute)
        self._mute.muted[place] = lambda: self.report(action, place, "noise times 0")

    def each_optimizer(self, change: Callable[[Optimizer], None]) -> None:
        """Have something done with every optimizer when it is made."""
        self._tap.on_optimizer.append(change)

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Give a class or module another attribute, for as long as the trial lasts."""
        original = getattr(owner, name)
        setattr(owner, name, value)
        self.at_close(lambda: setattr(owner, name, original))

    def at_close(self, undo: Callable[[], None]) -> None:
        """Have something taken back when the trial is over, the latest first."""
        self._undo.append(undo)

    def around_steps(
        self,
        before: Callable[[Optimizer], None],
        after: Callable[[Optimizer], None] | None = None,
    ) -> None:
        """Have something done before and after every optimizer step."""

        def call_before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            before(optimizer)

        def call_after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if after is not None:
                after(optimizer)

        self._undo.append(register_optimizer_step_pre_hook(call_before).remove)
        self._undo.append(register_optimizer_step_post_hook(call_after).remove)

    def report(self, action: Action, target: str, detail: str) -> None:
        """Say that an action took effect on a target; the first time counts."""
        if (action.remedy, target) not in self._reported:
            self._reported.add((action.remedy, target))
            self._emit(
                {
                    "event": "applied",
                    "remedy": action.remedy,
                    "target": target,
                    "detail": detail,
                    "step": self._tap.step,
                }
            )

    def _edit_root(self, label: str) -> None:
        tree = self._tap.tree
        changed = False
        for pending in list(self._edits):
            for module in list(tree.roots[label].modules()):
                if tree.name(module) == pending.path:
                    self._replace(tree.roots[label], module, pending)
                    self._edits.remove(pending)
                    changed = True
                    break
        if changed:
            tree.rename()

    def _replace(self, root: nn.Module, old: nn.Module, pending: _PendingEdit) -> None:
        new = replaced(root, old, pending.edit)
        if new is old:
            return
        self._tap.tree.adopt_source(new, old)
        self.adopt_parameters(old, new)
        self._report_first_call(new, pending)

    def _report_first_call(self, module: nn.Module, pending: _PendingEdit) -> None:
        def called(*_: Any) -> None:
            handle.remove()
            self.report(pending.action, pending.path, f"now {module}")

        handle = module.register_forward_hook(called)

    def adopt_parameters(self, old: nn.Module, new: nn.Module) -> None:
        """Let new parameters join the optimizer group of the old module's or its neighbours'."""
        known = {id(parameter) for parameter in old.parameters()}
        fresh = [parameter for parameter in new.parameters() if id(parameter) not in known]
        if not fresh:
            return

        def adopt(optimizer: Optimizer) -> None:
            group = group_of(optimizer, known) or optimizer.param_groups[0]
            held = {id(parameter) for parameter in group["params"]}
            group["params"].extend(p for p in fresh if id(p) not in held)
            fresh.clear()

        # At the first step, since an optimizer may be made after the first forward pass.
        self.around_steps(lambda optimizer: adopt(optimizer) if fresh else None)


def replaced(root: nn.Module, old: nn.Module, edit: ModuleEdit) -> nn.Module:
    """What ``edit`` makes of a module, put in all its places below a model."""
    # All places first: the new module may hold the old one.
    places = [
        (parent, name)
        for parent in root.modules()
        for name, child in parent._modules.items()
        if child is old
    ]
    new = edit(old)
    for parent, name in places:
        parent._modules[name] = new
    if new is not old:
        new.train(old.training)
    return new


def group_of(optimizer: Optimizer, known: Iterable[int]) -> dict[str, Any] | None:
    """The parameter group that has one of these parameters, told by their identity."""
    wanted = set(known)
    for group in optimizer.param_groups:
        if any(id(parameter) in wanted for parameter in group["params"]):
            return group
    return None


def scale_gradient(term: LossTerm, factor: float) -> None:
    """Multiply the gradient of a term in the backward pass that is about to begin."""
    for node in term.nodes:
        node.register_prehook(_scaled_by(factor))


def _scaled_by(factor: float) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def scale(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            gradient * factor if isinstance(gradient, torch.Tensor) else gradient
            for gradient in gradients
        )

    return scale
