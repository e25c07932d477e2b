"""Stored diagnoses on the command line, with the real MLflow on SQLite."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.diagnosis import Diagnosis, Pasted, PatchCheck, read_diagnosis
from agent.ledger import Ledger
from agent.ledger.archive import Archive
from agent.page import make_page
from agent.page.evidence import Evidence
from agent.report import to_text
from agent.request import Request
from agent.workload import Outcome, TrialSpec, Workload
from probes.trace import Trace

TOLD = Diagnosis.model_validate_json(Path(__file__).with_name("fixed.json").read_text())
assert TOLD.fix is not None
Complaint = Callable[[], str]


def outcome(number: int, seed: int, level: float) -> Outcome:
    events = [
        {"event": "metric", "step": step, "name": "val_acc", "value": level * step / 100}
        for step in range(0, 101, 10)
    ]
    ending = {"event": "ending", "status": "completed", "steps": 100, "seconds": 1.0}
    treatment = TOLD.fix.treatment if number % 2 and TOLD.fix else ()
    return Outcome(TrialSpec(number, treatment, seed), Trace.of([*events, ending]), 1.7e9, 2.0)


def store(home: Path, diagnosis: Diagnosis, experiment: str = "agent") -> str:
    """Record a diagnosis with its trials; its run."""
    workload = Workload(script=Path("/project/train.py"), directory=Path("/project"))
    ledger = Ledger(None, experiment, home)
    run_id = ledger.start(Request(workload=workload)).run_id
    entry = diagnosis.mlflow and diagnosis.mlflow.model_copy(update={"run_id": run_id})
    for place, seed in enumerate((0, 1, 1, 2, 2)):
        ledger.record(outcome((0, 2, 3, 4, 5)[place], seed, 0.2 if place in (0, 1, 3) else 0.9), "")
    ledger.finish(diagnosis.model_copy(update={"mlflow": entry}), "**fixed**")
    ledger.close()
    return run_id


@pytest.fixture(scope="module")
def stored(home: Path) -> str:
    """The run of a fixed diagnosis."""
    return store(home, TOLD)


@pytest.fixture(autouse=True)
def here(home: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that was diagnosed."""
    monkeypatch.setenv("AGENT_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(project)
    Path("train.py").write_text("old\n")


def tags_of(home: Path, run_id: str) -> dict[str, str]:
    from mlflow import MlflowClient

    return dict(MlflowClient(f"sqlite:///{home}/mlflow.db").get_run(run_id).data.tags)


class TestReport:
    def test_it_prints_the_diagnosis(self, stored: str, capsys: Any) -> None:
        assert main(["report", stored]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("FIXED  train-eval-divergence")
        assert "swap-norm(to=instance) @ net.1" in shown

    def test_the_page_has_the_curves_of_the_trials(self, stored: str, capsys: Any) -> None:
        assert main(["report", stored, "--html", "page.html"]) == 0
        assert capsys.readouterr().out == "page.html\n"
        page = Path("page.html").read_text()
        assert "val_acc, treated against untreated" in page
        assert f"agent apply {stored}" in page

    def test_a_page_to_be_opened_is_opened(
        self, stored: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
        assert main(["report", stored, "--open", "--html", "page.html"]) == 0
        assert opened == [Path("page.html").resolve().as_uri()]
        assert "open the file by hand" in capsys.readouterr().err

    @pytest.mark.parametrize("command", [["report"], ["apply"], ["review", "--accept"]])
    def test_a_run_that_is_not_there_is_named(
        self, stored: str, command: list[str], complaint: Complaint
    ) -> None:
        assert main([*command, "0" * 32]) == 2
        assert "there is no run 0000" in complaint()

    def test_a_trial_is_no_diagnosis(self, home: Path, stored: str, complaint: Complaint) -> None:
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{home}/mlflow.db")
        query = f"tags.`mlflow.parentRunId` = '{stored}'"
        trial = client.search_runs([client.get_run(stored).info.experiment_id], query)[0]
        assert main(["report", trial.info.run_id]) == 2
        assert complaint().endswith(f"is no diagnosis: it is a trial of {stored}")

    def test_a_page_that_cannot_be_written_is_said_at_once(self, complaint: Complaint) -> None:
        assert main(["report", "abc", "--html", "no/such/folder.html"]) == 2
        assert "cannot write to no/such/folder.html" in complaint()


class TestApply:
    def test_the_patch_is_applied_once(
        self, stored: str, capsys: Any, complaint: Complaint
    ) -> None:
        assert main(["apply", "--check", stored]) == 0
        assert capsys.readouterr().out == "train.py: can be changed\n"
        assert Path("train.py").read_text() == "old\n"
        assert main(["apply", stored]) == 0
        assert Path("train.py").read_text() == "new\n"
        capsys.readouterr()
        assert main(["apply", stored]) == 2
        assert "has the change already" in complaint()

    def test_a_file_that_differs_is_left_alone(self, stored: str, complaint: Complaint) -> None:
        Path("train.py").write_text("mine\n")
        assert main(["apply", stored]) == 2
        assert "train.py differs from what was diagnosed, at line 1" in complaint()
        assert Path("train.py").read_text() == "mine\n"

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"patch": None}, "could not be written as a patch. Use nn.InstanceNorm1d"),
            (
                {"patch": None, "helpers": (Pasted(place="a:1", behind="is", code="x"),)},
                "has a few lines to paste",
            ),
            (
                {
                    "patch_folder": "/jobs",
                    "patch_check": PatchCheck(passed=True, reason="", files={"jobs.py": "0"}),
                },
                "the patch belongs to another folder: run it in /jobs",
            ),
            (
                {"patch_check": PatchCheck(passed=False, reason="it falls behind")},
                "is not offered: it falls behind",
            ),
            (
                {"patch_check": PatchCheck(passed=True, reason="", files={"train.py": "0"})},
                "train.py has changed since it was diagnosed",
            ),
        ],
    )
    def test_what_was_not_proven_is_not_applied(
        self,
        changes: dict[str, object],
        said: str,
        stored: str,
        complaint: Complaint,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fix = TOLD.fix.model_copy(update=changes) if TOLD.fix else None
        told = TOLD.model_copy(update={"fix": fix})
        monkeypatch.setattr(Archive, "diagnosis", lambda self, run_id: told)
        assert main(["apply", stored]) == 2
        assert said in complaint()
        assert Path("train.py").read_text() == "old\n"


class TestReview:
    def test_what_waits_is_listed_until_it_is_reviewed(
        self, home: Path, stored: str, capsys: Any
    ) -> None:
        assert main(["review"]) == 0
        assert stored in capsys.readouterr().out
        assert main(["review", stored, "--reject", "--note", "the data\nis wrong"]) == 0
        assert capsys.readouterr().out == f"{stored}: rejected\n"
        tags = tags_of(home, stored)
        assert tags["agent.review"] == "rejected"
        assert tags["agent.review-note"] == "the data is wrong"
        assert tags["agent.reviewer"] == subprocess.getoutput("id -un")
        assert main(["review"]) == 0
        assert capsys.readouterr().out == "no diagnosis waits for a review\n"
        assert main(["review", stored, "--accept"]) == 0
        assert tags_of(home, stored)["agent.review"] == "accepted"

    def test_a_tag_that_was_edited_by_hand_counts(
        self, home: Path, stored: str, capsys: Any
    ) -> None:
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{home}/mlflow.db")
        client.set_tag(stored, "agent.review", "later")
        assert main(["review"]) == 0
        assert stored in capsys.readouterr().out
        client.set_tag(stored, "agent.review", "accepted")
        assert main(["review"]) == 0
        assert stored not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--accept"], "name the run"),
            (["--experiment", "nope"], "there is no experiment 'nope'"),
            (["abc"], "--accept or --reject"),
        ],
    )
    def test_half_a_review_is_refused(
        self, stored: str, arguments: list[str], said: str, complaint: Complaint
    ) -> None:
        assert main(["review", *arguments]) == 2
        assert said in complaint()


def test_numbers_that_json_does_not_have_are_no_obstacle(diagnosis: Any) -> None:
    whole = diagnosis()
    odd = {"evidence": {"ratio": math.inf, "loss": math.nan, "share": 0.5}}
    lost = {"effect": math.nan, "ci": (math.nan, 1.0), "p_value": math.nan}
    told = whole.model_copy(
        update={
            "symptoms": (whole.symptoms[0].model_copy(update=odd),),
            "fix": whole.fix.model_copy(update=lost | {"metric_after": {1: math.nan}}),
            "tried": (whole.tried[0].model_copy(update={"metric": {1: math.nan, 2: 0.5}}),),
        }
    )
    read = read_diagnosis(told.model_dump_json())
    assert read.symptoms[0].evidence["share"] == 0.5
    assert math.isnan(read.symptoms[0].evidence["ratio"])
    assert read.fix is not None and read.fix.patch == whole.fix.patch
    assert math.isnan(read.fix.ci[0]) and read.fix.ci[1] == 1.0
    assert "FIXED" in to_text(read)
    assert "fixed" in make_page(Evidence.of(read, [])).html
    for text in ("[]", "null", "{}", '{"verdict": "odd"}', "not json"):
        with pytest.raises((ValueError, AttributeError)):
            read_diagnosis(text)


def test_a_stored_diagnosis_is_what_was_found(home: Path, stored: str) -> None:
    read = Archive(None, home).diagnosis(stored)
    same = {"mlflow": None}
    assert read.model_copy(update=same) == TOLD.model_copy(update=same)
    assert json.loads(read.model_dump_json())["schema_version"] == 1
