"""Every bundled workload whose cure is a change of source: its patch, beside a person's."""

from __future__ import annotations

import difflib
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.patch import Patch, write_patch
from probes import Objective, Trace, probes
from remedies import Action, remedies
from tests.corpus import ROOT, Sick, load

pytestmark = pytest.mark.slow

PATCHES: dict[str, dict[str, Any]] = tomllib.loads(
    (ROOT / "tests" / "patches.toml").read_text(encoding="utf-8")
)
_STEPS = 12
"""Optimizer steps after which the lines of most scripts are known."""
_ENOUGH = 0.9

Run = Callable[..., Trace]


@dataclass(frozen=True)
class Case:
    """A workload and how it is treated.

    Attributes:
        sick: The workload.
        action: The treatment.
        steps: Steps of the run that knows the lines.
        pasted: Whether nothing but a helper can be pasted.
        lines: Lines that the patch may change, where that is not twice a person's.
    """

    sick: Sick
    action: Action
    steps: int
    pasted: bool
    lines: int


def case(sick: Sick) -> Case:
    told = PATCHES[sick.name]
    remedy = remedies[told["remedy"]]
    action = Action(
        remedy=remedy.code,
        name=remedy.name,
        target=told.get("target", ""),
        params=told.get("params", {}),
    )
    assert sick.healthy is not None
    most = told.get("lines", 2 * changed(person(sick.script, sick.healthy)))
    return Case(sick, action, told.get("steps", _STEPS), told.get("pasted", False), most)


def person(script: Path, healthy: Path) -> str:
    """What a person changed."""
    before, after = script.read_text().splitlines(), healthy.read_text().splitlines()
    return "\n".join(difflib.unified_diff(before, after, lineterm="", n=0))


def changed(diff: str) -> int:
    """How many lines a diff takes out and puts in."""
    lines = [line for line in diff.splitlines() if line.startswith(("-", "+"))]
    return sum(not line.startswith(("--- ", "+++ ")) for line in lines)


SICK = [sick for sick in load() if sick.name in PATCHES]
CASES = [pytest.param(case(sick), id=sick.name) for sick in SICK]


def patch_of(case: Case, trace: Trace) -> Patch:
    script = case.sick.script
    patch = write_patch((case.action,), trace, script.parent, script, case.pasted)
    assert patch is not None
    return patch


def patched(case: Case, patch: Patch, folder: Path) -> Path:
    """The script with the patch that git applied to it."""
    script = folder / case.sick.script.name
    script.write_bytes(case.sick.script.read_bytes())
    subprocess.run(["git", "apply"], cwd=folder, input=patch.text.encode(), check=True)
    return script


@pytest.mark.parametrize("case", CASES)
def test_the_patch_applies_and_is_as_small_as_a_persons(
    case: Case, run_script: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trace = run_script(case.sick.script, *case.sick.args, max_steps=case.steps)
    patch = patch_of(case, trace)
    assert patch.pasted == case.pasted
    assert changed(patch.text) <= case.lines, patch.text
    script = patched(case, patch, tmp_path_factory.mktemp("patched"))
    compile(script.read_text(), str(script), "exec")


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_the_patched_script_is_healthy(
    case: Case, run_script: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sick, args = case.sick, case.sick.args
    untreated = run_script(sick.script, *args)
    script = patched(case, patch_of(case, untreated), tmp_path_factory.mktemp("patched"))
    after = run_script(script, *args)
    metric = Objective.infer(untreated)
    assert metric is not None and sick.healthy is not None
    enough = metric.gain(metric.final(untreated), metric.final(run_script(sick.healthy, *args)))
    assert metric.gain(metric.final(untreated), metric.final(after)) >= _ENOUGH * enough
    assert not [s for probe in probes for s in probe.read(after, metric) if s.alarming]


def test_every_workload_that_a_change_of_source_cures_has_a_patch() -> None:
    bundled = {sick.name for sick in load() if sick.healthy is not None and sick.remedies}
    assert bundled == {*PATCHES}
