"""The modules of the program: their names, the lines that made them, and which is the root."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import FrameType

from torch import Tensor, nn

from probes.tap.locate import Sources, first_argument
from probes.tap.wrap import wrap
from probes.trace import Event

_WRAPPERS = ("_orig_mod.", "module.")
"""Prefixes that `torch.compile` and data parallel put before the user's own names."""
_MOST_CHANGES = 20


class ModuleTree:
    """Names every module and parameter by its path from the root that it hangs from.

    The modules of the first root are named as in its ``state_dict``; those of every later one (a
    discriminator, say) have the root's class before them: ``Discriminator:net.0``.

    Args:
        sources: Tells the user's lines.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._made: dict[int, tuple[weakref.ref[nn.Module], str | None]] = {}
        self._names: dict[int, str] = {}
        self._labels: list[str] = []
        self._parameters: dict[int, str] | None = None
        self._changes = 0
        self.roots: dict[str, nn.Module] = {}

    def install(self) -> Callable[[], None]:
        """Note every module that is constructed from now on; returns what undoes it."""
        return wrap(nn.Module, "__init__", after=self._note)

    def _note(self, module: nn.Module) -> None:
        key = id(module)
        source = None
        for frame in self._sources.stack():
            if not _is_constructor_of(frame, module):
                source = self._sources.place(frame.f_code, frame.f_lineno)
                break
        forget = self._made.pop
        self._made[key] = (weakref.ref(module, lambda _: forget(key, None)), source)

    def source(self, module: nn.Module) -> str | None:
        """The line of the user's code that constructed the module."""
        reference, source = self._made.get(id(module), (None, None))
        return source if reference is not None and reference() is module else None

    def adopt_source(self, new: nn.Module, old: nn.Module) -> None:
        """Let a module that replaces another one have its line."""
        self._made[id(new)] = (weakref.ref(new), self.source(old))

    def alive(self) -> list[nn.Module]:
        """Every module that was constructed and still exists."""
        made = (reference() for reference, _ in list(self._made.values()))
        return [module for module in made if module is not None]

    def knows(self, module: nn.Module) -> bool:
        """Whether the module has a name already."""
        return id(module) in self._names

    def name(self, module: nn.Module) -> str | None:
        """The name of a module; None when it hangs from no root that was seen."""
        return self._names.get(id(module))

    def root_of(self, module: nn.Module) -> nn.Module | None:
        """The known root that contains a module; None where there is none."""
        if any(root is module for root in self.roots.values()):
            return module
        name = self.name(module)
        if name is None:
            return None
        label, found, _ = name.partition(":")
        first = self.roots.get("")
        return self.roots.get(label, first) if found or label in self.roots else first

    def add_root_of(self, module: nn.Module) -> str:
        """Find the outermost module that contains this one and name all below it.

        Returns:
            The label of the new root, empty for the first.
        """
        root = self._outermost(module)
        kind = type(unwrapped(root)).__name__
        label = kind if self._labels else ""
        first = self.roots.get("")
        known = [type(unwrapped(first)).__name__] if first is not None else []
        known += [name.split("#")[0] for name in self._labels if name]
        if label and kind in known:
            label = f"{kind}#{1 + known.count(kind)}"
        self._labels.append(label)
        self.roots[label] = root
        self.rename()
        return label

    def changed(self, module: nn.Module) -> str | None:
        """Name all modules anew where the root that contains this one has got others.

        Returns:
            The label of the root; None where it is as it was.
        """
        root = self.root_of(module)
        label = next((label for label, known in self.roots.items() if known is root), None)
        if root is None or label is None or self._changes >= _MOST_CHANGES:
            return None
        if all(self.knows(each) for each in root.modules()):
            return None
        self._changes += 1
        self.rename()
        return label

    def rename(self) -> None:
        """Name all modules anew, after a tree was changed."""
        self._parameters = None
        self._names = {
            id(module): self._full_name(label, path)
            for label, root in self.roots.items()
            for path, module in root.named_modules()
        }

    def _full_name(self, label: str, path: str) -> str:
        for prefix in _WRAPPERS:
            path = path.removeprefix(prefix) if path != prefix[:-1] else ""
        if not path:
            return label or type(unwrapped(self.roots[label])).__name__
        return f"{label}:{path}" if label else path

    def _outermost(self, module: nn.Module) -> nn.Module:
        parents: dict[int, nn.Module] = {}
        for reference, _ in list(self._made.values()):
            candidate = reference()
            if candidate is not None:
                for child in candidate.__dict__.get("_modules", {}).values():
                    if child is not None:
                        parents.setdefault(id(child), candidate)
        seen = {id(module)}
        while (parent := parents.get(id(module))) is not None and id(parent) not in seen:
            seen.add(id(parent))
            module = parent
        return module

    def parameter_names(self) -> dict[int, str]:
        """Names of all parameters below the known roots, by identity: as they are in this step."""
        if self._parameters is None:
            self._parameters = {
                id(parameter): self._full_name(label, path)
                for label, root in self.roots.items()
                for path, parameter in root.named_parameters()
            }
        return self._parameters

    def forget_parameters(self) -> None:
        """A step is over; the next one may have others."""
        self._parameters = None

    def events(self, label: str) -> Iterator[Event]:
        """A ``module`` event for every module below a root."""
        root = self.roots[label]
        for path, module in root.named_modules():
            name = self._full_name(label, path)
            parent = self._full_name(label, path.rpartition(".")[0]) if path else None
            yield {
                "event": "module",
                "where": name,
                "type": type(module).__name__,
                "source": self.source(module),
                "parent": parent if parent != name else None,
                "parameters": sum(p.numel() for p in module.parameters()),
                "running_statistics": has_running_statistics(module),
                "defined": self._defined(module),
            }

    def _defined(self, module: nn.Module) -> str | None:
        code = getattr(type(module).forward, "__code__", None)
        if code is None or self._sources.name(code.co_filename) is None:
            return None
        return self._sources.place(code, code.co_firstlineno)


def _is_constructor_of(frame: FrameType, module: nn.Module) -> bool:
    return frame.f_code.co_name == "__init__" and first_argument(frame) is module


def has_running_statistics(module: nn.Module) -> bool:
    """Whether the module normalises with running statistics in eval mode."""
    return (
        isinstance(getattr(module, "running_mean", None), Tensor)
        and isinstance(getattr(module, "running_var", None), Tensor)
        and hasattr(module, "eps")
    )


def unwrapped(module: nn.Module) -> nn.Module:
    """The user's module inside `torch.compile` or data parallel."""
    for name in ("_orig_mod", "module"):
        inner = module.__dict__.get("_modules", {}).get(name)
        if inner is not None and len(module.__dict__["_modules"]) == 1:
            return unwrapped(inner)
    return module
