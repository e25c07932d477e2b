"""The house rules: who imports whom, and that what is public is documented and annotated."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "probes", "remedies")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def lint(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).with_name("lint-imports")
    command = str(beside) if beside.exists() else shutil.which("lint-imports")
    assert command, "import-linter is not installed"
    return subprocess.run(
        [command, "--no-cache", *arguments], cwd=folder, capture_output=True, text=True
    )


def test_import_contracts_hold() -> None:
    done = lint()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_import_breaks_the_contracts(tmp_path: Path) -> None:
    """The check is alive: in a copy of the packages, one import the wrong way round is found."""
    ignored = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "probes" / "base.py").open("a") as file:
        file.write("\nimport remedies.space\n")
    done = lint(folder=tmp_path)
    assert done.returncode == 1
    assert "probes.base -> remedies.space" in done.stdout


def public(path: Path) -> list[tuple[str, Definition]]:
    """Everything public that a module defines: functions, classes, and their methods."""
    found: list[tuple[str, Definition]] = []

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, Definition) and not node.name.startswith("_"):
                found.append((prefix + node.name, node))
                if isinstance(node, ast.ClassDef):
                    collect(node.body, f"{prefix}{node.name}.")

    collect(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_documented_and_annotated(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    for name, node in public(path):
        assert ast.get_docstring(node) or is_overload(node), f"{name} has no docstring"
        if isinstance(node, ast.ClassDef):
            continue
        assert node.returns is not None, f"{name} has no return type"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        free = {"self", "cls"}
        bare = [arg.arg for arg in arguments if arg.annotation is None and arg.arg not in free]
        assert not bare, f"{name}: {bare} not annotated"


def is_overload(node: Definition) -> bool:
    return any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_what_it_says(package: str) -> None:
    module = __import__(package)
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{package}.{name} has no docstring"


def test_nobody_imports_the_workloads() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not any(name.partition(".")[0] == "workloads" for name in named), path


def test_workloads_import_nothing_of_ours() -> None:
    for path in (ROOT / "workloads").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                named = [node.module or ""]
            else:
                continue
            assert not any(name.partition(".")[0] in PACKAGES for name in named), path
