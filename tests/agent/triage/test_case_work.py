"""What becomes of a run that needs help; its script is not run here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.diagnosis import Diagnosis, LedgerEntry, WorkloadSummary
from agent.errors import InfrastructureError
from agent.triage import case_work
from agent.triage.case_work import Desk
from agent.triage.recipe import Recipe, Refused
from agent.triage.rerun import Terms
from agent.triage.runs import ATTEMPTS, BASIS, DIAGNOSIS, LEASE, NOTE, SUBJECT, VERDICT, Run
from agent.triage.scan import Scan, Selection
from agent.triage.sweep import Plan, sweep
from agent.triage.tracking import Tracking
from tests.agent.conftest import NASTY

Log = Callable[..., Run]
Noted = Callable[..., dict[str, str]]
Write = Callable[[str, str], Path]


class FakeDiagnosis:
    """Stands in for the process: records a diagnosis as the ledger would."""

    def __init__(self, tracking: Tracking, experiment: str) -> None:
        self.tracking = tracking
        self.experiment = experiment
        self.asked: list[tuple[Recipe, dict[str, str]]] = []
        self.error: Exception | None = None
        self.verdict, self.summary = "fixed", f"it was {NASTY}"

    def __call__(
        self, recipe: Recipe, terms: Terms, asked: Mapping[str, str], alive: Callable[[], bool]
    ) -> Diagnosis | None:
        self.asked.append((recipe, dict(asked)))
        assert alive()
        if self.error is not None:
            raise self.error
        run_id = asked.get("resume") or self.record(asked["subject"], "running")
        told = {"agent.verdict": self.verdict, "agent.summary": self.summary, NOTE: "**it**"}
        self.tracking.tag(run_id, told)
        self.tracking.terminate(run_id, "FINISHED")
        entry = LedgerEntry(tracking_uri="x", experiment_id=self.experiment, run_id=run_id)
        return Diagnosis.model_validate(
            {
                "verdict": self.verdict,
                "summary": self.summary,
                "workload": WorkloadSummary(script="train.py"),
                "mlflow": entry,
            }
        )

    def record(self, subject: str, verdict: str) -> str:
        tags = {SUBJECT: subject, "agent.verdict": verdict, "agent.schema": "1"}
        return self.tracking.create("agent", "a diagnosis", tags)


@pytest.fixture
def process(tracking: Tracking, experiment: str, monkeypatch: pytest.MonkeyPatch) -> FakeDiagnosis:
    fake = FakeDiagnosis(tracking, experiment)
    monkeypatch.setattr(case_work, "diagnose", fake)
    return fake


@pytest.fixture
def work(tracking: Tracking, experiment: str, project: Path) -> Callable[..., Any]:
    """Sweeps the experiment once."""

    def work(**options: Any) -> Any:
        desk = Desk(tracking, Terms(tracking.store.uri), project)
        name = tracking._client.get_experiment(experiment).name
        plan = Plan((name,), Selection(), **options)
        return sweep(plan, desk, lambda finding: None)

    return work


def test_the_run_and_its_diagnosis_are_linked(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write, tracking: Tracking
) -> None:
    script = write("train.py", "print(1)")
    packages = {"agent.run.packages": '{"numpy": "0.1"}'}
    own = noted(script, "--lr", "1") | packages | {NOTE: "My own words."}
    run = log("KILLED", tags=own)
    (finding,) = work().findings
    tags = tracking.run(run.run_id).tags
    assert tags[VERDICT] == "fixed" and tags[BASIS] == "rerun"
    assert tags[DIAGNOSIS] == finding.diagnosis and not tags[LEASE]
    note = tags[NOTE]
    assert note.startswith("My own words.\n\n**agent: FIXED**")
    assert finding.diagnosis in note.splitlines()[-1]
    assert "<b>" not in note.replace("\\<b\\>", "") and "\x1b" not in note
    back = tracking.run(finding.diagnosis).tags
    assert back[SUBJECT] == run.run_id and run.run_id in back[NOTE]
    assert "other packages: numpy 0.1" in back[NOTE]
    ((recipe, asked),) = process.asked
    assert recipe.script == script and recipe.arguments == ("--lr", "1")
    assert "observe" not in asked
    assert work().cases == []


def test_a_crash_is_only_observed(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write
) -> None:
    tags = noted(write("train.py", "1"), ending="ValueError: boom", line="train.py:7")
    log("FAILED", tags=tags)
    process.verdict, process.summary = "unresolved", "non-finite-training at net"
    (finding,) = work().findings
    assert "observe" in process.asked[0][1]
    assert finding.summary.startswith("ValueError: boom at train.py:7: non-finite-training")


def test_without_our_tags_the_metrics_must_do(
    process: FakeDiagnosis, work: Any, log: Log, tracking: Tracking
) -> None:
    run = log("FAILED", loss=[1.0, 0.9, math.nan, math.nan], val_acc=[0.1, 0.2])
    (finding,) = work().findings
    assert process.asked == []
    assert finding.basis == "metrics" and finding.verdict == "failed"
    assert "loss was no finite number from step 2 on" in finding.summary
    diagnosis = tracking.run(finding.diagnosis).tags
    assert diagnosis[BASIS] == "metrics" and "without our package" in diagnosis["agent.refused"]
    assert "from its metrics alone" in tracking.run(run.run_id).tags[NOTE]


def test_the_last_good_run_is_the_known_good_configuration(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write
) -> None:
    script = write("train.py", "1")
    log(ago=300, tags=noted(script, "--lr", "0.1"), val_acc=[0.2, 0.9])
    log(ago=200, tags=noted(script, "--lr", "0.2"), val_acc=[0.2, 0.9])
    log(ago=150, tags=noted(script, "--lr", "0.3"), val_acc=[0.2, 0.4])  # Worse than usual.
    log(ago=100, tags=noted(script, "--lr", "9"), val_acc=[0.2, 0.1], loss=[1.0, math.nan])
    work()
    assert process.asked[0][1]["good"] == "--lr 0.2"


def test_what_was_recorded_is_only_delivered(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write, tracking: Tracking
) -> None:
    """Triage was killed between the end of a diagnosis and the tags of its run."""
    run = log("KILLED", tags=noted(write("train.py", "1")))
    before = process.record(run.run_id, "unresolved")
    tracking.tag(before, {"agent.summary": "known already"})
    tracking.terminate(before, "FINISHED")
    (finding,) = work().findings
    assert process.asked == [] and finding.diagnosis == before
    assert tracking.run(run.run_id).tags[VERDICT] == "unresolved"


def test_a_diagnosis_that_broke_off_is_resumed(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write
) -> None:
    run = log("KILLED", tags=noted(write("train.py", "1")))
    before = process.record(run.run_id, "running")
    (finding,) = work().findings
    assert process.asked[0][1]["resume"] == before == finding.diagnosis


def test_a_run_of_a_dead_process_is_closed(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write, tracking: Tracking
) -> None:
    run = log("RUNNING", tags=noted(write("train.py", "1"), started="1"), ago=500)
    work()
    now = tracking.run(run.run_id)
    assert now.status == "KILLED" and "is gone" in now.noted("ending")
    assert now.ended == pytest.approx(run.last_sign, abs=0.01)


def test_infrastructure_is_tried_again_but_not_for_ever(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write, tracking: Tracking
) -> None:
    run = log("KILLED", tags=noted(write("train.py", "1")))
    process.error = InfrastructureError("no Ray")
    for attempt in "12":
        assert len(work().problems) == 1
        assert tracking.run(run.run_id).tags[ATTEMPTS] == attempt
    (finding,) = work().findings
    assert finding.basis == "metrics"


def test_one_run_does_not_keep_the_others_from_being_looked_at(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write
) -> None:
    log("KILLED", tags=noted(write("train.py", "1")), ago=90)
    log("FAILED", ago=80)
    process.error = ZeroDivisionError("a bug")
    report = work()
    assert "ZeroDivisionError: a bug" in report.problems[0]
    assert len(report.findings) == 1


def test_a_refusal_of_the_diagnosis_is_told(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write, tracking: Tracking
) -> None:
    log("KILLED", tags=noted(write("train.py", "1")))
    process.error = Refused("train.py:1: invalid syntax")
    (finding,) = work().findings
    assert "invalid syntax" in tracking.run(finding.diagnosis).tags["agent.refused"]


def test_a_long_run_gets_the_time_that_it_took(
    process: FakeDiagnosis, work: Any, log: Log, noted: Noted, write: Write, tracking: Tracking
) -> None:
    tags = noted(write("train.py", "1"))
    log("KILLED", tags=tags, ago=9000)
    long = log("RUNNING", tags=tags, ago=8000)
    tracking.terminate(long.run_id, "KILLED", long.started + 5000)
    work()
    assert [asked["timeout"] for _, asked in process.asked] == ["600", "15000"]


def test_what_is_left_is_found_by_the_next_sweep(
    process: FakeDiagnosis, work: Any, log: Log, tracking: Tracking, experiment: str
) -> None:
    for ago in (9000, 8000, 7000):
        log("FAILED", ago=ago)
    assert len(work(most=1).findings) == 1
    assert len(list(Scan(tracking, experiment, Selection()).cases())) == 2
    assert len(work(seconds=0.0).findings) == 0
    assert len(work().findings) == 2
