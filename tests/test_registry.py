"""The registry: finds units by themselves, and is loud about broken and clashing ones."""

from __future__ import annotations

import importlib.metadata
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from probes.registry import Registry, RegistryError, UnknownUnitError


class Unit(ABC):
    """Base of the units of these tests."""

    code: ClassVar[str]
    name: ClassVar[str]

    @abstractmethod
    def act(self) -> str: ...


UNIT = """
from tests_registry_base import Unit

class {cls}(Unit):
    code = {code!r}
    name = {name!r}

    def act(self):
        return self.name
"""
Make = Callable[[dict[str, str]], "Registry[Unit]"]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a registry over a new package with these modules."""
    base = type(sys)("tests_registry_base")
    base.Unit = Unit  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_registry_base", base)
    monkeypatch.syspath_prepend(tmp_path)
    package = "units_of_" + tmp_path.name.replace("-", "_")

    def build(modules: dict[str, str]) -> Registry[Unit]:
        folder = tmp_path / package
        folder.mkdir()
        for name, text in ({"__init__": ""} | modules).items():
            (folder / f"{name}.py").write_text(text)
        return Registry(Unit, package=package, group="units")  # type: ignore[type-abstract]

    yield build
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def unit(code: str, name: str, cls: str = "Some") -> str:
    return UNIT.format(cls=cls, code=code, name=name)


def entry_points(monkeypatch: pytest.MonkeyPatch, **targets: object) -> None:
    class Entry:
        dist = None

        def __init__(self, name: str, target: object) -> None:
            self.name, self._target = name, target

        def load(self) -> object:
            if isinstance(self._target, Exception):
                raise self._target
            return self._target

    def found(*, group: str) -> list[Entry]:
        return [Entry(*item) for item in targets.items()] if group == "units" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", found)


class Foreign(Unit):
    code = "U900"
    name = "foreign"

    def act(self) -> str:
        return "from elsewhere"


def test_units_are_found_in_the_order_of_their_codes(make: Make) -> None:
    registry = make({"zeta": unit("U001", "first"), "alpha": unit("U002", "second")})
    assert [found.name for found in registry] == ["first", "second"]
    assert len(registry) == 2
    assert registry.keys() == ["U001", "first", "U002", "second"]


def test_a_unit_is_found_by_code_and_name_in_any_case(make: Make) -> None:
    registry = make({"alpha": unit("U001", "swap-norm")})
    assert registry["u001"] is registry["Swap-Norm"] is registry[" U001 "]
    assert "swap-norm" in registry and "U002" not in registry


def test_private_modules_imported_and_abstract_classes_are_no_units(make: Make) -> None:
    package = "from tests_registry_base import Unit\nclass Abstract(Unit):\n    pass\n"
    registry = make(
        {
            "_private": unit("U001", "private"),
            "abstract": package,
            "alpha": unit("U002", "real"),
            "beta": "from .alpha import Some\n",
        }
    )
    assert [found.name for found in registry] == ["real"]


@pytest.mark.parametrize("code", ["U001", "U002"])
def test_two_that_claim_the_same_are_both_named(make: Make, code: str) -> None:
    name = "other" if code == "U001" else "same"
    first = unit("U001", "same", cls="First")
    registry = make({"alpha": first, "beta": unit(code, name, cls="Second")})
    with pytest.raises(RegistryError, match=r"Second of .*\.beta and First of .*\.alpha"):
        len(registry)


@pytest.mark.parametrize("text", ["import no_such_module_here\n", "def broken(:\n", "1 / 0\n"])
def test_a_broken_module_is_named(make: Make, text: str) -> None:
    with pytest.raises(RegistryError, match=r"\.alpha cannot be imported"):
        len(make({"alpha": text}))


@pytest.mark.parametrize("attribute", ["code", "name"])
def test_a_unit_without_code_or_name_is_named(make: Make, attribute: str) -> None:
    text = unit("U001", "some").replace(f"    {attribute} = ", f"    {attribute}_of = ")
    with pytest.raises(RegistryError, match=rf"Some of .*\.alpha has no {attribute}"):
        len(make({"alpha": text.replace("self.name", "''")}))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("swap-nrom", "Did you mean swap-norm?"),
        ("u01", "Did you mean U001?"),
        ("zzzzzz", "(known: U001, swap-norm)"),
    ],
)
def test_an_unknown_unit_suggests_the_nearest(make: Make, asked: str, said: str) -> None:
    registry = make({"alpha": unit("U001", "swap-norm")})
    with pytest.raises(UnknownUnitError) as raised:
        registry[asked]
    assert said in str(raised.value)
    assert repr(asked) in str(raised.value)


def test_entry_points_add_units(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points(monkeypatch, foreign=Foreign)
    registry = make({"alpha": unit("U001", "own")})
    assert [found.name for found in registry] == ["own", "foreign"]
    assert registry["U900"].act() == "from elsewhere"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (ImportError("gone"), "entry point 'foreign' of .* cannot be loaded.*gone"),
        (object(), "entry point 'foreign' of .* not a Unit"),
        (int, "entry point 'foreign' of .* not a Unit"),
    ],
)
def test_a_broken_entry_point_is_named(
    make: Make, monkeypatch: pytest.MonkeyPatch, target: object, said: str
) -> None:
    entry_points(monkeypatch, foreign=target)
    with pytest.raises(RegistryError, match=said):
        len(make({}))


def test_an_entry_point_cannot_take_a_code(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points(monkeypatch, foreign=Foreign)
    registry = make({"alpha": unit("U900", "own")})
    with pytest.raises(RegistryError, match=r"Foreign of entry point 'foreign'.*alpha"):
        len(registry)


def test_a_failed_registry_fails_again_instead_of_being_empty(make: Make) -> None:
    registry: Registry[Any] = make({"alpha": "1 / 0\n"})
    for _ in range(2):
        with pytest.raises(RegistryError):
            len(registry)
