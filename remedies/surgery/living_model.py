"""A model at hand, as the remedies see it: no script, no tap, no trial around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn
from torch.optim.optimizer import Optimizer

from remedies.errors import NotApplicable
from remedies.surgery.program import ModuleEdit, Program, group_of, replaced
from remedies.treatment import Action, Treatment


class LivingModel(Program):
    """Takes the changes of a treatment for one model, and makes all of them or none.

    Args:
        model: The model.
        optimizers: What trains it.

    Attributes:
        model: The model as it is after `commit`: another object where it was swapped as a whole.
    """

    def __init__(self, model: nn.Module, optimizers: tuple[Optimizer, ...]) -> None:
        self.model = model
        self._optimizers = optimizers
        self._changes: list[Callable[[], None]] = []
        self._steps = 0

    def take(self, treatment: Treatment) -> None:
        """Let every remedy say what it will change.

        Raises:
            UnknownUnitError: A remedy is not registered here.
            NotApplicable: One of them changes more than a model.
            ValueError: An action makes no sense for this model.
        """
        from remedies import remedies

        for action in treatment:
            self._demand(remedies[action.remedy].reach, action)
            remedies[action.remedy].apply(self, action)

    def commit(self) -> None:
        """Make the changes."""
        for change in self._changes:
            change()
        for optimizer in self._optimizers[:1]:
            optimizer.register_step_post_hook(self._count)

    def edit_module(self, action: Action, path: str, edit: ModuleEdit) -> None:
        """Replace a module by what ``edit`` makes of it."""
        self._module(path)

        def change() -> None:
            old = self._module(path)
            new = replaced(self.model, old, edit)
            if old is self.model:
                self.model = new
            if new is not old:
                self.adopt_parameters(old, new)

        self._changes.append(change)

    def adopt_parameters(self, old: nn.Module, new: nn.Module) -> None:
        """Let new parameters join the optimizer group of the old module's or its neighbours'."""
        known = {id(parameter) for parameter in old.parameters()}
        fresh = [parameter for parameter in new.parameters() if id(parameter) not in known]
        inside = {id(parameter) for parameter in self.model.parameters()}
        if not self._optimizers and any(id(parameter) not in inside for parameter in fresh):
            raise NotApplicable("this treatment trains new parameters: give the optimizer, too")
        for optimizer in self._optimizers[:1] if fresh else ():
            group = group_of(optimizer, known) or optimizer.param_groups[0]
            held = {id(parameter) for parameter in group["params"]}
            group["params"].extend(p for p in fresh if id(p) not in held)

    def each_root(self, change: Callable[[nn.Module], None]) -> None:
        """Have something done with the model."""
        self._changes.append(lambda: change(self.model))

    def each_optimizer(self, change: Callable[[Optimizer], None]) -> None:
        """Have something done with what trains the model."""
        self._changes += [lambda own=own: change(own) for own in self._optimizers]  # type: ignore[misc]

    def around_steps(
        self,
        before: Callable[[Optimizer], None],
        after: Callable[[Optimizer], None] | None = None,
    ) -> None:
        """Have something done before and after every step of these optimizers."""

        def hook(optimizer: Optimizer) -> None:
            optimizer.register_step_pre_hook(lambda own, args, kwargs: before(own))
            if after is not None:
                optimizer.register_step_post_hook(lambda own, args, kwargs: after(own))

        self.each_optimizer(hook)

    def root_of(self, module: nn.Module) -> nn.Module:
        """The model."""
        return self.model

    @property
    def step(self) -> int:
        """Steps that the first optimizer has done since."""
        return self._steps

    def report(self, action: Action, target: str, detail: str) -> None:
        """Nobody waits for it."""

    def rewrite_calls(self, rewrite: object) -> NoReturn:
        """Not possible: calls are told apart by the lines that a trial watches."""
        raise NotApplicable("it changes calls at certain lines of the script, not the model")

    def _demand(self, reach: str, action: Action) -> None:
        if reach == "optimizer" and not self._optimizers:
            raise NotApplicable(
                f"{action.name} goes by the steps of the optimizer: apply(treatment, model, "
                "optimizer)"
            )
        if reach == "script":
            raise NotApplicable("it acts on the loop, the loss or the data, not on the model")

    def _module(self, path: str) -> nn.Module:
        """The module that a trial called so; the model itself goes by its class.

        Raises:
            ValueError: The model has none.
        """
        label, found, below = path.partition(":")
        modules: dict[str, nn.Module] = dict(self.model.named_modules())
        kind = type(self.model).__name__
        if path in modules and path:
            return modules[path]
        if label.partition("#")[0] == kind and (below in modules or not found):
            return modules[below]
        raise ValueError(f"the model ({kind}) has no module {path!r}: it is not what was diagnosed")

    def _count(self, *_: Any) -> None:
        self._steps += 1
