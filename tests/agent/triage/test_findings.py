"""What is told of a run."""

from __future__ import annotations

import pytest

from agent.diagnosis import Diagnosis, WorkloadSummary
from agent.triage.findings import Finding, note_with, summarise
from agent.triage.runs import NOTE, Case, Kind, Run
from probes.symptom import Symptom
from tests.agent.conftest import NASTY

CRASH = {"agent.run.ending": "ValueError: boom", "agent.run.line": "train.py:9"}
NAN = Symptom(
    code="P301", name="non-finite-training", severity=0.9, where="net", source="train.py:7",
    message="log makes the first NaN",
)  # fmt: skip


def case(kind: Kind, **tags: str) -> Case:
    return Case(Run("run-1", "a run", "0", "FAILED", 0.0, tags=tags), kind, "silent for 9 h")


def diagnosis(verdict: str, summary: str, *symptoms: Symptom) -> Diagnosis:
    workload = WorkloadSummary(script="train.py")
    told = {"verdict": verdict, "summary": summary, "workload": workload, "symptoms": symptoms}
    return Diagnosis.model_validate(told)


def test_a_crash_is_told_with_the_first_value_that_was_no_number() -> None:
    told = summarise(case("crashed", **CRASH), diagnosis("unresolved", "it is sick", NAN))
    assert told == (
        "ValueError: boom at train.py:9: it is sick. "
        "Before it, log makes the first NaN (train.py:7)"
    )
    again = summarise(case("crashed", **CRASH), diagnosis("failed", "it raised boom", NAN))
    assert again.startswith("it raised boom. Before it")


def test_a_crash_that_does_not_happen_again() -> None:
    told = summarise(case("crashed", **CRASH), diagnosis("healthy", "no symptom"))
    assert "did not happen again" in told


@pytest.mark.parametrize("kind", ["killed", "stale"])
def test_a_run_that_was_ended_from_outside(kind: Kind) -> None:
    told = summarise(case(kind), diagnosis("healthy", "no symptom"))
    assert told == "silent for 9 h; run again, it comes to its end: no symptom"


def finding(summary: str) -> Finding:
    return Finding(case("killed"), "fixed", summary, "rerun", "d1", "7")


def test_the_note_keeps_what_is_there_and_says_it_once() -> None:
    run = Run("run-1", "a run", "0", "KILLED", 0.0, tags={NOTE: "Mine."})
    note = note_with(run, finding("it was so"), "#/{}/{}".format)
    assert note == "Mine.\n\n**agent: FIXED**: it was so ([diagnosis](#/7/d1))"
    later = Run("run-1", "a run", "0", "KILLED", 0.0, tags={NOTE: note})
    assert note_with(later, finding("it was so"), "#/{}/{}".format) == note


def test_the_note_is_escaped() -> None:
    run = Run("run-1", "a run", "0", "KILLED", 0.0)
    line = note_with(run, finding(NASTY + "[x](javascript:alert(1))"), "#/{}/{}".format)
    assert r"\<b\>" in line and r"\[x\](javascript" in line
    assert "\x1b" not in line and "\n" not in line
    assert line.endswith("([diagnosis](#/7/d1))")


def test_a_long_note_is_not_cut() -> None:
    run = Run("run-1", "a run", "0", "KILLED", 0.0, tags={NOTE: "x" * 7990})
    assert note_with(run, finding("it was so"), "#/{}/{}".format) == "x" * 7990
