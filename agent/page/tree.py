"""The module tree of the program, as far as it matters: the sick places and what is around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.text import plain
from probes.facts import ModuleInfo
from probes.symptom import Symptom
from probes.trace import Trace

_WHOLE = 60  # modules up to which all are shown
_MOST = 150


@dataclass(frozen=True)
class Branch:
    """One line of the tree.

    Attributes:
        depth: How far it is indented.
        name: Its name within its parent.
        kind: Class of the module; empty for a line that stands for modules left out.
        source: Line that made it.
        parameters: Number of its parameters, with separators.
        symptoms: What was found there, ``P101 train-eval-divergence``.
        alarming: Whether one of them makes the run sick.
    """

    depth: int
    name: str
    kind: str = ""
    source: str = ""
    parameters: str = ""
    symptoms: tuple[str, ...] = ()
    alarming: bool = False


def module_tree(trace: Trace | None, symptoms: Iterable[Symptom]) -> list[Branch]:
    """The lines of the tree, from the roots down; empty where nothing is known of modules."""
    if trace is None:
        return []
    found: dict[str, list[Symptom]] = {}
    for symptom in symptoms:
        found.setdefault(symptom.where, []).append(symptom)
    children: dict[str | None, list[ModuleInfo]] = {}
    for module in trace.modules.values():
        parent = module.parent if module.parent in trace.modules else None
        children.setdefault(parent, []).append(module)
    shown = _shown(trace, found)
    branches: list[Branch] = []
    _grow(branches, children, None, 0, shown, found)
    return branches[:_MOST]


def _shown(trace: Trace, found: dict[str, list[Symptom]]) -> set[str]:
    """Modules that get a line: in a large model the sick ones, their parents and neighbours."""
    if len(trace.modules) <= _WHOLE:
        return set(trace.modules)
    shown = {module.where for module in trace.modules.values() if module.parent is None}
    for sick in [where for where in found if where in trace.modules]:
        parent = trace.modules[sick].parent
        near = [m.where for m in trace.modules.values() if parent and m.parent == parent]
        shown |= {sick, *near[:12]}
        while parent in trace.modules:
            shown.add(parent)
            parent = trace.modules[parent].parent
    return shown


def _grow(
    branches: list[Branch], children: dict[str | None, list[ModuleInfo]], parent: str | None,
    depth: int, shown: set[str], found: dict[str, list[Symptom]],
) -> None:  # fmt: skip
    left_out = 0
    for module in children.get(parent, ()):
        if module.where not in shown:
            left_out += 1
            continue
        branches.append(_branch(module, parent, depth, found.get(module.where, [])))
        if len(branches) < _MOST and module.where != parent:
            _grow(branches, children, module.where, depth + 1, shown, found)
    if left_out:
        branches.append(Branch(depth, f"… {left_out} more"))


def _branch(module: ModuleInfo, parent: str | None, depth: int, found: list[Symptom]) -> Branch:
    name = module.where.removeprefix(f"{parent}.") if parent else module.where
    return Branch(
        depth=depth,
        name=plain(name),
        kind=plain(module.type),
        source=plain(module.source or ""),
        parameters=f"{module.parameters:,}" if module.parameters else "",
        symptoms=tuple(f"{symptom.code} {symptom.name}" for symptom in found),
        alarming=any(symptom.alarming for symptom in found),
    )
