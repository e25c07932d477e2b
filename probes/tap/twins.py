"""Finds the modules that are copies of one that is trained, and are not trained themselves."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from probes.tap.frozen_parts import sample_of
from probes.tap.guard import quietly
from probes.tap.modules import ModuleTree, unwrapped
from probes.tap.wrap import wrap

_MOST = 100
"""Parameters of a copy that are looked at."""
_MOST_COPIES = 8
"""Copies that are followed: some programs keep one of every epoch."""
_DEEPEST = 8


@dataclass(eq=False, slots=True)
class Twin:
    """A copy of a model that is trained.

    Attributes:
        copy: The copy.
        original: What is trained.
        where: Name of the original; ``Net/2`` for its second copy.
        before: Samples of the copy and of the original at the beginning of a probed step.
        moves: Whether the copy was seen to go towards the original.
    """

    copy: weakref.ref[nn.Module]
    original: weakref.ref[nn.Module]
    where: str
    before: tuple[Tensor, Tensor] | None = None
    moves: bool = False

    def parameters(self) -> tuple[list[Tensor], list[Tensor]]:
        """What is compared, of the copy and of the original; nothing where one is gone."""
        copy, original = self.copy(), self.original()
        if copy is None or original is None:
            return [], []
        return some(copy.parameters()), some(original.parameters())


class Twins:
    """Knows the copies that there are.

    A copy is of the class of the original, has parameters of the same names and shapes, and none
    that an optimizer holds. Originals are the models that are called, and their immediate parts.

    Args:
        tree: Knows the models, and the modules that were constructed.

    Attributes:
        found: The copies.
    """

    def __init__(self, tree: ModuleTree) -> None:
        self._tree = tree
        self._copied: weakref.WeakValueDictionary[int, nn.Module] = weakref.WeakValueDictionary()
        self._judged: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self.found: list[Twin] = []

    def install(self) -> Callable[[], None]:
        """Note what is copied or unpickled from now on; returns what undoes it."""
        return wrap(nn.Module, "__setstate__", after=self._note)

    @quietly
    def _note(self, module: nn.Module) -> None:
        self._copied[id(module)] = module

    def refresh(self, held: set[int]) -> None:
        """Look which copies there are now.

        Args:
            held: Identities of the parameters that optimizers hold.
        """
        self.found = [twin for twin in self.found if not _is_over(twin, held)]
        originals = list(self._originals(held))
        kinds = {type(original) for original in originals}
        fresh = [
            module
            for module in (*self._tree.alive(), *self._copied.values())
            if type(module) in kinds and module not in self._judged
        ]
        # The outermost first: the parts of a copy are copies of parts.
        for module in sorted(fresh, key=lambda module: -sum(1 for _ in module.modules())):
            if module not in self._judged and len(self.found) < _MOST_COPIES:
                self._judge(module, originals, held)

    def of(self, module: nn.Module) -> Twin | None:
        """The twin that a call of a module evaluates: it, or what it is wrapped around."""
        known = {id(copy): twin for twin in self.found if (copy := twin.copy()) is not None}
        inner: nn.Module | None = module
        for _ in range(_DEEPEST):
            if inner is None or id(inner) in known:
                break
            inner = _wrapped_by(inner)
        return known.get(id(inner))

    def _originals(self, held: set[int]) -> Iterator[nn.Module]:
        for root in self._tree.roots.values():
            inner = unwrapped(root)
            for module in (inner, *inner.children()):
                if any(id(parameter) in held for parameter in module.parameters()):
                    yield module

    def _judge(self, module: nn.Module, originals: list[nn.Module], held: set[int]) -> None:
        self._judged.add(module)
        own = {id(parameter) for parameter in module.parameters()}
        if not own or own & held:
            return
        for original in originals:
            if type(original) is type(module) and _shapes(original) == _shapes(module):
                self._judged.update(module.modules())
                where = self._label(original)
                self.found.append(Twin(weakref.ref(module), weakref.ref(original), where))
                return

    def _label(self, original: nn.Module) -> str:
        name = self._tree.name(original) or type(original).__name__
        taken = {twin.where for twin in self.found}
        names = (f"{name}/{number}" if number > 1 else name for number in itertools.count(1))
        return next(free for free in names if free not in taken)


def some(parameters: Iterable[Tensor], most: int = _MOST) -> list[Tensor]:
    """Not more parameters than are looked at, spread over all of them."""
    every = list(parameters)
    return every[:: -(-len(every) // most)] if every else []


def vector(parameters: Iterable[Tensor]) -> Tensor | None:
    """Samples of parameters one behind the other; None where one cannot be read."""
    samples = [sample_of(parameter) for parameter in parameters]
    known = [sample for sample in samples if sample is not None]
    return torch.cat(known) if known and len(known) == len(samples) else None


def _shapes(module: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, parameter.shape) for name, parameter in module.named_parameters()]


def _is_over(twin: Twin, held: set[int]) -> bool:
    """Whether a copy is gone, or is trained by now."""
    own, _ = twin.parameters()
    return not own or id(own[0]) in held


def _wrapped_by(module: nn.Module) -> nn.Module | None:
    """The only child with parameters of a module that has none of its own."""
    inner = [child for child in module.children() if any(True for _ in child.parameters())]
    alone = len(inner) == 1 and not any(True for _ in module.parameters(recurse=False))
    return inner[0] if alone else None
