"""The API, over a real queue and a real worker whose diagnoses are made up."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.diagnosis import Diagnosis, WorkloadSummary
from agent.errors import InfrastructureError, UsageError
from agent.progress import Notice, PartStarted, TrialProgressed
from tests.agent.conftest import NASTY
from tests.agent.service.conftest import Running


def _stream(text: str) -> list[tuple[int, str, Any]]:
    """Events of a stream: id, name and data."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def test_from_the_submission_to_the_answer(running: Running, controller: Any) -> None:
    job = running.submit(args=["--lr", "0.1"], metric="loss", mode="min", seeds=4)
    there = running.client.get(f"/v1/jobs/{job}").json()
    assert there["state"] == "queued"
    assert running.client.get(f"/v1/jobs/{job}/diagnosis").status_code == 409
    running.work()
    done = running.client.get(f"/v1/jobs/{job}").json()
    assert (done["state"], done["verdict"], done["attempts"]) == ("done", "healthy", 1)
    answer = running.client.get(f"/v1/jobs/{job}/diagnosis")
    assert Diagnosis.model_validate(answer.json()).verdict == "healthy"
    asked = controller.request
    assert (asked.metric, asked.mode, asked.seeds) == ("loss", "min", 4)
    assert asked.workload.args == ("--lr", "0.1")
    assert asked.workload.directory == asked.workload.script.parent
    assert (asked.job, asked.slots, asked.workload.limits.memory) == (job, 2, 2**30)


def test_following_shows_what_the_terminal_shows(running: Running, controller: Any) -> None:
    def diagnose(request: Any, listener: Any) -> Diagnosis:
        listener(PartStarted("observe"))
        for step in range(100):
            listener(TrialProgressed(0, step, float("nan")))
        listener(Notice(NASTY))
        return controller.answer  # type: ignore[no-any-return]

    import sys

    sys.modules["agent.controller"].diagnose = diagnose  # type: ignore[attr-defined]
    job = running.submit()
    running.work()
    events = _stream(running.client.get(f"/v1/jobs/{job}/events").text)
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    # One of the hundred: a long job does not fill the database.
    names = ["state", "state", "part-started", "trial-progressed", "notice", "state"]
    assert [name for _, name, _ in events] == names
    assert events[2][2]["lines"][0].endswith("] observe")
    assert events[3][2]["event"] == {"number": 0, "step": 0, "value": None}
    assert "\x1b" not in events[4][2]["lines"][0]
    assert events[-1][2] == {"state": "done", "verdict": "healthy"}
    rest = running.client.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "4"})
    assert _stream(rest.text) == events[4:]


def test_following_waits_for_what_comes(running: Running) -> None:
    job = running.submit()
    told: list[str] = []
    reader = threading.Thread(
        target=lambda: told.append(running.client.get(f"/v1/jobs/{job}/events").text)
    )
    reader.start()
    time.sleep(0.3)
    assert not told
    running.work()
    reader.join(10)
    assert [event[2] for event in _stream(told[0])][-1]["state"] == "done"


def test_the_report_and_the_patch(
    running: Running, controller: Any, diagnosis: Callable[..., Diagnosis], monkeypatch: Any
) -> None:
    controller.answer = diagnosis()
    monkeypatch.setattr("agent.ledger.lookup.page_of", lambda *_: "<h1>why</h1>")
    job = running.submit()
    running.work()
    page = running.client.get(f"/v1/jobs/{job}/report")
    assert page.text == "<h1>why</h1>" and "sandbox" in page.headers["content-security-policy"]
    patch = running.client.get(f"/v1/jobs/{job}/patch")
    fix = controller.answer.fix
    assert fix is not None and (patch.text == fix.patch if fix.patch else patch.status_code == 404)


def test_what_is_refused_is_an_answer_without_a_job(running: Running) -> None:
    for script, told in (
        ("../secret.py", "there is no ../secret.py below the root"),
        ("link.py", "there is no link.py below the root"),
        ("way-out/secret.py", "below the root"),
        ("/etc/passwd", "there is no /etc/passwd below the root"),
        ("no-such.py", "there is no no-such.py below the root"),
        ("models", "is no Python file"),
        ("broken.py", "broken.py:1: "),
        ("a\0b", "NUL"),
        ("", "script: "),
    ):
        answer = running.client.post("/v1/jobs", json={"script": script})
        assert answer.status_code == 422, answer.text
        assert told in answer.json()["detail"] and "\n" not in answer.json()["detail"]
        assert "/root/" not in answer.json()["detail"]
    assert running.client.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"seeds": 1}, "seeds: "),
        ({"budget": 1e9}, "budget: at most 100"),
        ({"time_budget": 1e9}, "time_budget: at most 3600"),
        ({"limits": {"timeout": 1e9}}, "limits.timeout: at most 3600"),
        ({"limits": {"cpus": 64}}, "limits.cpus: at most 2"),
        ({"limits": {"gpus": 1}}, "limits.gpus: at most 0"),
        ({"limits": {"memory": 2**40}}, "limits.memory: at most"),
        ({"seed_base": 2**80}, "seed_base: at most"),
        ({"only": ["P999"]}, "P999"),
        ({"policy": "interactive"}, "needs a terminal"),
        ({"policy": "nonsense"}, "nonsense"),
        ({"directory": ".."}, "directory: there is no .. below the root"),
        ({"good": ["--lr", "1"], "args": ["--lr", "1"]}, "--good"),
        ({"tracking_uri": "http://elsewhere"}, "tracking_uri: "),
        ({"address": "elsewhere:1"}, "address: "),
        ({"args": ["\ud800"]}, "Unicode"),
    ],
)
def test_bounds_are_told_in_one_line(running: Running, asked: dict[str, Any], told: str) -> None:
    answer = running.client.post(
        "/v1/jobs",
        content=json.dumps({"script": "train.py", **asked}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    assert told in answer.json()["detail"] and "\n" not in answer.json()["detail"]


@pytest.mark.parametrize("body", ["{", "[]", "1", "", '{"script": "train.py", "budget": NaN}'])
def test_what_is_no_submission(running: Running, body: str) -> None:
    kind = {"Content-Type": "application/json"}
    answer = running.client.post("/v1/jobs", content=body, headers=kind)
    assert answer.status_code == 422 and set(answer.json()) == {"detail"}


def test_a_submission_must_say_that_it_is_json(running: Running) -> None:
    kind = {"Content-Type": "text/plain"}  # What a web page may send without asking.
    answer = running.client.post("/v1/jobs", content='{"script": "train.py"}', headers=kind)
    assert answer.status_code == 422


def test_a_full_queue_says_when_to_come_back(running: Running) -> None:
    for _ in range(3):
        running.submit()
    answer = running.client.post("/v1/jobs", json={"script": "train.py"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    running.work()
    running.submit()


def test_the_same_key_is_answered_with_the_same_job(running: Running) -> None:
    key = {"Idempotency-Key": "once"}
    first = running.client.post("/v1/jobs", json={"script": "train.py"}, headers=key)
    again = running.client.post("/v1/jobs", json={"script": "train.py"}, headers=key)
    other = running.client.post("/v1/jobs", json={"script": "models/deep.py"}, headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == f"/v1/jobs/{first.json()['id']}"


def test_pages_of_jobs(running: Running) -> None:
    jobs = [running.submit() for _ in range(3)]
    first = running.client.get("/v1/jobs?limit=2").json()
    rest = running.client.get(f"/v1/jobs?limit=2&before={first['next']}").json()
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == jobs[::-1]
    assert rest["next"] is None
    assert running.client.get("/v1/jobs?state=done").json()["jobs"] == []


def test_secrets_among_the_arguments_are_not_shown(running: Running, controller: Any) -> None:
    args = ["--api-key", "s3cret-s3cret"]
    summary = WorkloadSummary(script="train.py", args=tuple(args))
    controller.will_answer(workload=summary.model_dump())
    job = running.submit(args=args)
    assert "s3cret" not in running.client.get(f"/v1/jobs/{job}").text
    running.work()
    told = running.client.get(f"/v1/jobs/{job}/diagnosis").json()
    assert told["workload"]["args"] == ["--api-key", "***"]
    assert controller.request.workload.args == ("--api-key", "s3cret-s3cret")


def test_what_a_job_fails_of(running: Running, controller: Any) -> None:
    controller.answer = UsageError("no metric nope:\x1b[31m\nthere is loss")
    job = running.submit()
    running.work()
    there = running.client.get(f"/v1/jobs/{job}").json()
    assert (there["state"], there["error"]) == ("failed", "no metric nope: there is loss")
    gone = running.client.get(f"/v1/jobs/{job}/diagnosis")
    assert gone.status_code == 404
    controller.answer = RuntimeError("a bug")
    job = running.submit()
    running.work()
    told = running.client.get(f"/v1/jobs/{job}").json()["error"]
    assert told == "unexpected RuntimeError: a bug"


def test_what_fails_beneath_us_is_tried_again(
    running: Running, controller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.archive.Archive.__init__", lambda *_: None)
    monkeypatch.setattr("agent.ledger.lookup.run_of_job", lambda *_: None)
    controller.answer = InfrastructureError("Ray is away")
    job = running.submit()
    running.work()
    assert running.client.get(f"/v1/jobs/{job}").json()["state"] == "queued"
    controller.will_answer()
    running.work()
    there = running.client.get(f"/v1/jobs/{job}").json()
    assert (there["state"], there["attempts"]) == ("done", 2)


@pytest.mark.parametrize("stop", ["cancel", "terminate"])
def test_a_running_job_can_be_stopped(running: Running, controller: Any, stop: str) -> None:
    job = running.submit()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hang() -> None:
        if stop == "cancel":
            assert running.client.post(f"/v1/jobs/{job}/cancel").json()["cancelling"]
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    controller.before = hang
    # As when it is started: it works until it is told to stop.
    ending = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGTERM))
    ending.start()
    try:
        running.worker.run()
    finally:
        ending.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    there = running.client.get(f"/v1/jobs/{job}").json()
    expected = ("cancelled", 1) if stop == "cancel" else ("queued", 0)
    assert (there["state"], there["attempts"]) == expected


def test_an_answer_that_was_not_delivered_is_not_made_again(
    running: Running, controller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = controller.answer
    monkeypatch.setattr("agent.ledger.archive.Archive.__init__", lambda *_: None)
    monkeypatch.setattr("agent.ledger.lookup.run_of_job", lambda *_: "run-1")
    controller.answer = InfrastructureError("killed before it could deliver")
    job = running.submit()
    running.work()
    monkeypatch.setattr("agent.ledger.archive.Archive.diagnosis", lambda *_: found)
    running.work()
    assert len(controller.requests) == 1
    assert running.client.get(f"/v1/jobs/{job}").json()["state"] == "done"


def test_a_diagnosis_that_broke_off_is_resumed(
    running: Running, controller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unfinished(*_: object) -> None:
        raise UsageError("the diagnosis of run run-1 is not finished")

    monkeypatch.setattr("agent.ledger.archive.Archive.__init__", lambda *_: None)
    monkeypatch.setattr("agent.ledger.lookup.run_of_job", lambda *_: "run-1")
    monkeypatch.setattr("agent.ledger.archive.Archive.diagnosis", unfinished)
    controller.answer = InfrastructureError("killed")
    running.submit()
    running.work()
    running.work()
    assert [request.resume for request in controller.requests] == [None, "run-1"]


def test_a_sweep_is_asked_for_once(running: Running) -> None:
    first, again = running.client.post("/v1/triage"), running.client.post("/v1/triage")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    there = running.client.get("/v1/jobs?kind=triage").json()["jobs"]
    assert [job["kind"] for job in there] == ["triage"] and there[0]["submission"] is None


def test_health(running: Running) -> None:
    assert running.client.get("/healthz").json()["status"] == "ok"
    assert running.client.get("/readyz").json() == {"status": "ok", "workers": 1}
    running.crew.ready, running.crew.trouble = 0, "Ray does not start"
    answer = running.client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["status"] == "Ray does not start"


def test_metrics(running: Running) -> None:
    running.client.get(f"/v1/jobs/{running.submit()}")
    running.client.get("/v1/nothing")
    text = running.client.get("/metrics").text
    assert 'agent_jobs{state="queued"} 1.0' in text
    assert "agent_queue_limit 3.0" in text
    assert 'agent_http_requests_total{method="GET",route="/v1/jobs/{job}",status="200"} 1.0' in text
    assert 'route="other",status="404"' in text


def test_a_database_that_is_away_is_told_so(
    running: Running, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def away() -> None:
        raise OperationalError("SELECT s3cret", None, Exception("gone"))

    monkeypatch.setattr(database, "reading", away)
    answer = running.client.get("/v1/jobs")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert "s3cret" not in answer.text


def test_a_bug_of_ours_shows_no_traceback(
    running: Running, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "reading", lambda: 1 / 0)
    answer = running.client.get("/v1/jobs")
    assert answer.status_code == 500 and "Traceback" not in answer.text
