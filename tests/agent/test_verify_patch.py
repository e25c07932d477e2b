"""A patch is offered only where the patched script does what the treatment did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.assessment import assess
from agent.confirm import Confirmation
from agent.launch import Launcher
from agent.snapshot import Snapshot
from agent.statistics import compare
from agent.verify_patch import PatchVerifier, judge
from agent.workload import Limits, Outcome, TrialSpec, Workload
from probes.objective import Objective
from probes.trace import Event, Trace

Write = Callable[[str, str], Path]
SCRIPT = """\
import sys
from pathlib import Path

acc = 0.2
loss = 1.0
print(Path("data.txt").read_text().strip())
print(f"val_acc={acc}")
"""
ACCURACY = Objective(name="val_acc", mode="max")
BEFORE, AFTER = {1: 0.2, 2: 0.21, 3: 0.2}, {1: 0.9, 2: 0.91, 3: 0.92}
CURED = compare(ACCURACY, BEFORE, AFTER)


def outcome_of(
    seed: int, value: float | None, status: str = "completed", losses: tuple[float, ...] = ()
) -> Outcome:
    events: list[Event] = [
        {"event": "signals", "step": s, "phase": "train", "rows": [("loss", "loss.value", loss)]}
        for s, loss in enumerate(losses, 1)
    ]
    shown = [] if value is None else [(10, value)]
    events += [{"event": "metric", "step": s, "name": "val_acc", "value": v} for s, v in shown]
    ending = {"event": "ending", "status": status, "steps": 10}
    return Outcome(TrialSpec(seed, seed=seed), Trace.of([*events, ending]))


def confirmed(*losses: float) -> Confirmation:
    """The confirmation that CURED is of; its treated runs all had these losses."""
    assessments = tuple(
        assess(
            outcome_of(seed, AFTER[seed], losses=losses),
            outcome_of(seed, BEFORE[seed]),
            (),
            (),
            ACCURACY,
        )
        for seed in AFTER
    )
    return Confirmation((), assessments, CURED, "")


def patch_to(line: str) -> str:
    return f"--- a/train.py\n+++ b/train.py\n@@ -3,3 +3,3 @@\n \n-acc = 0.2\n+{line}\n loss = 1.0\n"


@pytest.fixture
def verifier(ray: None, project: Path, write: Write) -> PatchVerifier:
    script = write("train.py", SCRIPT)
    write("data.txt", "some data")
    workload = Workload(script=script, directory=project, limits=Limits(timeout=60))
    snapshot = Snapshot.take(project, script)
    return PatchVerifier(snapshot, lambda changed: Launcher(changed, workload, slots=1), 7)


def test_the_patched_script_runs_on_the_seeds_of_the_confirmation(
    verifier: PatchVerifier, contents: Callable[[], dict[str, str]]
) -> None:
    before, heard = contents(), []
    told = replace(verifier, record=lambda changed, outcome: heard.append(outcome))
    check = told.verify(patch_to("acc = 0.9"), confirmed())
    assert check.passed
    assert "recovers as the treatment does: val_acc 0.9, 0.9, 0.9 at seeds 1, 2" in check.reason
    assert check.metric == {1: 0.9, 2: 0.9, 3: 0.9}
    assert len(check.files["train.py"]) == 64
    assert contents() == before
    assert sorted(outcome.spec.number for outcome in heard) == [7, 8, 9]
    assert {outcome.spec.treatment for outcome in heard} == {()}


def test_what_has_run_before_is_not_run_again(verifier: PatchVerifier) -> None:
    asked: list[tuple[str, TrialSpec]] = []

    def recall(changed: Snapshot, spec: TrialSpec) -> Outcome | None:
        asked.append((changed.read("train.py").decode(), spec))
        return outcome_of(spec.seed, 0.95) if spec.seed != 2 else None

    heard: list[int] = []
    told = replace(
        verifier, recall=recall, record=lambda changed, outcome: heard.append(outcome.spec.seed)
    )
    check = told.verify(patch_to("acc = 0.9"), confirmed())
    assert check.passed and check.metric == {1: 0.95, 2: 0.9, 3: 0.95}
    assert [spec.seed for _, spec in asked] == [1, 2, 3]
    assert all("acc = 0.9" in text for text, _ in asked)
    assert sorted(heard) == [1, 2, 3]


@pytest.mark.parametrize(
    ("told", "passed", "runs", "reason"),
    [
        (outcome_of(1, 0.9, losses=(2.0, 0.5)), True, 1, "it trains bit for bit as the treated"),
        (outcome_of(1, 0.9, losses=(2.0, 0.6)), True, 3, "recovers as the treatment does"),
        (outcome_of(1, 0.89, losses=(2.0, 0.5)), True, 3, "recovers as the treatment does"),
        (outcome_of(1, 0.9, "raised", (2.0, 0.5)), False, 1, "on seed 1 the patched script ended"),
    ],
)
def test_its_other_seeds_are_run_where_the_first_is_not_the_treated_run(
    verifier: PatchVerifier, told: Outcome, passed: bool, runs: int, reason: str
) -> None:
    asked: list[int] = []

    def recall(changed: Snapshot, spec: TrialSpec) -> Outcome | None:
        asked.append(spec.seed)
        return told if spec.seed == 1 else outcome_of(spec.seed, 0.9)

    check = replace(verifier, recall=recall).verify(patch_to("acc = 0.9"), confirmed(2.0, 0.5))
    assert asked == sorted(check.metric) == [1, 2, 3][:runs]
    assert check.passed is passed
    assert reason in check.reason


@pytest.mark.parametrize(
    ("values", "passed", "reason"),
    [
        ((0.9, 0.9, 0.9), True, "recovers as the treatment does"),
        ((0.85, 0.85, 0.85), True, "recovers as the treatment does"),
        ((0.5, 0.5, 0.5), False, "falls behind the treatment"),
        ((0.9, 0.9, 0.19), False, "not better on every seed"),
        ((0.9, float("nan"), 0.9), False, "on seed 2 the patched script ends without val_acc"),
        ((None, 0.9, 0.9), False, "on seed 1 the patched script ends without val_acc"),
    ],
)
def test_what_it_reaches_decides(
    values: tuple[float | None, ...], passed: bool, reason: str
) -> None:
    found = judge([outcome_of(seed, value) for seed, value in enumerate(values, 1)], CURED)
    assert found[0] is passed
    assert reason in found[1]


def test_a_patched_script_that_breaks_is_not_offered() -> None:
    outcomes = [outcome_of(1, 0.9), outcome_of(2, 0.9), outcome_of(3, 0.9, "raised")]
    assert judge(outcomes, CURED) == (False, "on seed 3 the patched script ended raised")


def test_a_patch_that_does_not_apply_is_not_run(verifier: PatchVerifier) -> None:
    check = verifier.verify(patch_to("acc = 0.9").replace("-acc = 0.2", "-acc = 0.3"), confirmed())
    assert not check.passed
    assert "does not apply: train.py differs" in check.reason
    assert check.metric == {}


def test_a_snapshot_with_changes_keeps_the_other_files(project: Path, write: Write) -> None:
    script = write("train.py", SCRIPT)
    write("folder/data.txt", "some data")
    large = write("weights.bin", "x" * 1000)
    snapshot = Snapshot.take(project, script, large=1000)
    changed = snapshot.changed({"train.py": b"print('longer than before')" * 100})
    where = changed.lay_out(project.parent / "copy")
    assert where.script.read_bytes().startswith(b"print('longer")
    assert (where.directory / "folder/data.txt").read_text() == "some data"
    assert (where.directory / "weights.bin").resolve() == large
    assert snapshot.read("train.py") == script.read_bytes()
