"""A registry of units that are one file each: probes here, remedies and policies elsewhere."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import ClassVar, Generic, Protocol, TypeVar


class UnknownUnitError(LookupError):
    """No unit of that code or name; the message suggests the nearest ones."""


class RegistryError(RuntimeError):
    """A unit is broken or clashes with another one; the message names both."""


class _Unit(Protocol):
    code: ClassVar[str]
    name: ClassVar[str]


U = TypeVar("U", bound=_Unit)


class Registry(Generic[U]):
    """All concrete subclasses of a base class, found in a package's folder and in entry points.

    Every module of the package whose name has no leading underscore is imported; so is every entry
    point of ``group`` in the environment, which must name a class. Units are created once.

    Args:
        base: The base class of the units.
        package: The package whose modules are searched.
        group: Entry-point group by which other packages add units.
    """

    def __init__(self, base: type[U], package: str, group: str) -> None:
        self._base = base
        self._package = package
        self._group = group
        self._units: dict[str, U] | None = None

    def __iter__(self) -> Iterator[U]:
        return iter(self._load().values())

    def __len__(self) -> int:
        return len(self._load())

    def __getitem__(self, key: str) -> U:
        """The unit of this code or name, in any case.

        Raises:
            UnknownUnitError: There is none; the message suggests the nearest.
        """
        wanted = key.strip().lower()
        for unit in self:
            if wanted in (unit.code.lower(), unit.name.lower()):
                return unit
        raise UnknownUnitError(f"unknown {self._kind} {key!r}{suggest(key, self.keys())}")

    def __contains__(self, key: str) -> bool:
        try:
            self[key]
        except UnknownUnitError:
            return False
        return True

    def keys(self) -> list[str]:
        """All codes and names."""
        return [key for unit in self for key in dict.fromkeys((unit.code, unit.name))]

    @property
    def _kind(self) -> str:
        return self._base.__name__.lower()

    def _load(self) -> dict[str, U]:
        if self._units is None:
            units: dict[str, U] = {}
            for cls, origin in self._classes():
                self._add(units, cls, origin)
            self._units = dict(sorted(units.items()))
        return self._units

    def _classes(self) -> Iterator[tuple[type[U], str]]:
        package = importlib.import_module(self._package)
        for info in pkgutil.iter_modules(package.__path__):
            if info.ispkg or info.name.startswith("_"):
                continue
            name = f"{self._package}.{info.name}"
            yield from ((cls, name) for cls in self._defined_in(_import(name)))
        for entry in importlib.metadata.entry_points(group=self._group):
            origin = f"entry point {entry.name!r} of {entry.dist.name if entry.dist else '?'}"
            try:
                cls = entry.load()
            except Exception as error:
                raise RegistryError(f"{origin} cannot be loaded: {error!r}") from error
            if not (inspect.isclass(cls) and issubclass(cls, self._base)):
                raise RegistryError(f"{origin} is {cls!r}, not a {self._base.__name__}")
            yield cls, origin

    def _defined_in(self, module: ModuleType) -> list[type[U]]:
        return [
            cls
            for cls in vars(module).values()
            if inspect.isclass(cls)
            and issubclass(cls, self._base)
            and not inspect.isabstract(cls)
            and cls.__module__ == module.__name__
        ]

    def _add(self, units: dict[str, U], cls: type[U], origin: str) -> None:
        for attribute in ("code", "name"):
            if not isinstance(getattr(cls, attribute, None), str):
                raise RegistryError(f"{cls.__qualname__} of {origin} has no {attribute}")
        for other in units.values():
            if cls.code == other.code or cls.name == other.name:
                raise RegistryError(
                    f"{cls.__qualname__} of {origin} and {type(other).__qualname__} of "
                    f"{type(other).__module__} both claim {cls.code} {cls.name}"
                )
        units[cls.code] = cls()


def suggest(key: str, known: list[str]) -> str:
    """A tail for an error message: the nearest known keys.

    >>> suggest("swap-nrom", ["swap-norm", "drop-term"])
    '. Did you mean swap-norm?'
    >>> suggest("xyz", ["swap-norm", "drop-term"])
    ' (known: swap-norm, drop-term)'
    """
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(key.strip().lower(), lowered, n=3, cutoff=0.6)
    if near:
        return f". Did you mean {' or '.join(lowered[name] for name in near)}?"
    return f" (known: {', '.join(known)})" if known else ""


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RegistryError(f"{name} cannot be imported: {error!r}") from error
