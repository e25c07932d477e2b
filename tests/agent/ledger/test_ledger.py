"""The record in MLflow, with the real MLflow on SQLite."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.cli import main
from agent.diagnosis import (
    Cost,
    Diagnosis,
    Fix,
    MetricSummary,
    Tried,
    WorkloadSummary,
)
from agent.errors import InfrastructureError, UsageError
from agent.experience import Record
from agent.ledger import Ledger
from agent.ledger.client import connect
from agent.ledger.lookup import experience_of
from agent.ledger.records import TrialRecord
from agent.request import Request
from agent.store import Store
from agent.trace_file import read_trace
from agent.workload import Limits, Outcome, TrialSpec, Workload
from probes.symptom import Symptom
from probes.trace import Trace
from remedies.treatment import Action
from tests.agent.conftest import NASTY

SWAP = (Action(remedy="R101", name="swap-norm", target="net.1", params={"to": "layer"}),)
DROP = (Action(remedy="R103", name="drop-term", target="kl"),)


def make_request(**options):
    workload = Workload(
        script=Path("/project/train.py"),
        args=("--lr", "0.1", "--api-key", "s3cret-value"),
        directory=Path("/work"),
        limits=Limits(max_steps=100),
    )
    return Request(workload=workload, **options)


def make_trace(level=0.5, broken=False, status="completed"):
    events = [
        {"event": "module", "where": "net", "type": "Sequential", "parameters": 10},
        {"event": "module", "where": "net.1", "type": "BatchNorm1d", "source": "train.py:7",
         "parent": "net", "parameters": 4, "running_statistics": True},
        {"event": "term", "where": "kl", "source": "train.py:21"},
        {"event": "applied", "remedy": "R101", "target": "net.1", "detail": "now LayerNorm"},
        {"event": "note", "text": "two optimizers"},
    ]  # fmt: skip
    for step in range(0, 100, 10):
        rows = [["net.1", "std", 1.0 + step], ["net.1", "mean", math.nan if step else 0.1]]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
        events.append({"event": "signals", "step": step, "phase": "eval", "rows": rows[:1]})
        value = math.nan if broken and step > 50 else level + step / 1000
        events.append({"event": "metric", "step": step, "name": "val_acc", "value": value})
        events.append(
            {
                "event": "metric",
                "step": step,
                "name": "val/loss@1",
                "value": 1 - level,
                "source": "w",
            }
        )
    ending = {"event": "ending", "status": status, "seconds": 1.5, "steps": 100, "exit_code": 0}
    return Trace.of([*events, ending | {"output_tail": "key s3cret-value"}])


def make_outcome(number=0, treatment=(), seed=0, **options):
    spec = TrialSpec(number, treatment, seed)
    return Outcome(spec, make_trace(**options), started=1_700_000_000.0 + number, seconds=2.0)


def make_diagnosis(verdict="fixed", **options):
    symptom = Symptom(
        code="P101", name="train-eval-divergence", severity=0.9, where="net.1",
        source="train.py:7", message="it differs",
    )  # fmt: skip
    fix = Fix(
        treatment=SWAP,
        metric_before={1: 0.5, 2: -1e12},
        metric_after={1: 0.9, 2: 0.91},
        effect=0.4,
        ci=(0.35, 0.45),
        p_value=0.001,
        noise=0.01,
    )
    fields = {
        "summary": "BatchNorm was the cause",
        "workload": WorkloadSummary(
            script="train.py",
            args=("--api-key", "s3cret-value"),
            metric=MetricSummary(name="val_acc", mode="max", source="printed"),
        ),
        "symptoms": (symptom,),
        "tried": (
            Tried(treatment=SWAP, status="confirmed", reason="every seed recovers"),
            Tried(treatment=DROP, status="refuted", reason="no improvement"),
        ),
        "fix": fix,
        "cost": Cost(trials=3, steps=300, baseline_equivalents=3.0, wall_s=12.5),
    }
    return Diagnosis(verdict=verdict, **(fields | options))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(home):
    from mlflow import MlflowClient

    uri = f"sqlite:///{home}/mlflow.db"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture(scope="module")
def recorded(home):
    """One whole diagnosis; its entry."""
    ledger = Ledger(None, "agent", home)
    ledger.check()
    entry = ledger.start(make_request(metric="val_acc", mode="max"))
    ledger.record(make_outcome(0), "observe")
    ledger.record(make_outcome(1, SWAP, level=0.8), "search")
    ledger.record(make_outcome(2, DROP, broken=True, status="raised"), "search")
    ledger.record(make_outcome(3, SWAP, seed=2, status="cancelled"), "confirm")
    ledger.record(make_outcome(4, seed=1), "confirm")
    ledger.record(make_outcome(5, SWAP, seed=1, level=0.8), "confirm")
    ledger.finish(make_diagnosis(), "**fixed** with key s3cret-value")
    ledger.close()
    return entry


@pytest.fixture(scope="module")
def parent(recorded, client):
    return client.get_run(recorded.run_id)


@pytest.fixture(scope="module")
def trials(recorded, client):
    """The nested runs by the number of their trial."""
    query = f"tags.`mlflow.parentRunId` = '{recorded.run_id}'"
    runs = client.search_runs([recorded.experiment_id], query)
    return {int(run.data.tags["agent.trial"]): run for run in runs}


def artifact(client, run, name, folder):
    return Path(client.download_artifacts(run.info.run_id, name, str(folder)))


class TestExperience:
    def test_it_is_what_the_diagnoses_confirmed(self, recorded, home):
        found = experience_of("agent", None, home).records
        assert found["P101", "R101"] == Record(confirmed=1)

    def test_a_reviewer_has_the_last_word(self, recorded, home, client):
        client.set_tag(recorded.run_id, "agent.review", "rejected")
        found = experience_of("agent", None, home).records
        assert found["P101", "R101"] == Record(rejected=1)
        client.delete_tag(recorded.run_id, "agent.review")

    def test_the_next_diagnosis_has_it(self, recorded, home):
        ledger = Ledger(None, "agent", home)
        ledger.start(make_request())
        assert ledger.experience.records["P101", "R101"] == Record(confirmed=1)
        ledger.abort("KeyboardInterrupt: ")
        ledger.close()

    def test_an_experiment_that_is_not_there_has_none(self, recorded, home):
        assert experience_of("nowhere", None, home).records == {}

    def test_it_is_shown_with_prior_and_chance(self, recorded, home, monkeypatch, capsys):
        monkeypatch.setenv("AGENT_HOME", str(home))
        assert main(["experience", "P101"]) == 0
        shown = capsys.readouterr().out
        assert "swap-norm" in shown and "1 of 1" in shown and "0.84" in shown
        assert main(["experience", "P702"]) == 0
        assert "no diagnosis" in capsys.readouterr().out
        assert main(["experience", "swap-nrom"]) == 2


class TestDiagnosis:
    def test_the_run_says_what_came_of_it(self, parent):
        tags = parent.data.tags
        assert parent.info.status == "FINISHED"
        assert parent.info.run_name == "train.py: fixed by swap-norm(to=layer) @ net.1"
        assert tags["agent.verdict"] == "fixed"
        assert tags["agent.symptom"] == "P101 train-eval-divergence"
        assert (tags["agent.where"], tags["agent.source"]) == ("net.1", "train.py:7")
        assert tags["agent.fix"] == "swap-norm(to=layer) @ net.1"
        assert tags["agent.metric"] == "val_acc:max"
        assert tags["mlflow.note.content"].startswith("**fixed**")

    def test_effect_and_cost_are_metrics(self, parent):
        metrics = parent.data.metrics
        assert metrics["agent.effect"] == 0.4
        assert (metrics["agent.ci-low"], metrics["agent.ci-high"]) == (0.35, 0.45)
        assert (metrics["agent.trials"], metrics["agent.seconds"]) == (3, 12.5)
        assert metrics["agent.after"] == pytest.approx(0.905)
        assert "agent.before" not in metrics  # one of the runs diverged

    def test_the_cure_can_be_seen_as_two_curves(self, parent, client):
        curves = [
            client.get_metric_history(parent.info.run_id, f"val_acc/{side}")
            for side in ("control", "treated")
        ]
        assert [point.step for point in curves[0]] == list(range(0, 100, 10))
        assert [len(curve) for curve in curves] == [10, 10]
        assert curves[1][0].value - curves[0][0].value == pytest.approx(0.3)

    def test_what_was_asked_for_are_params(self, parent):
        params = parent.data.params
        assert params["script"] == "/project/train.py"
        assert (params["metric"], params["seeds"], params["max_steps"]) == ("val_acc", "3", "100")

    def test_secrets_are_not_recorded(self, parent, trials, client, home):
        assert parent.data.params["args"] == "--lr 0.1 --api-key ***"
        for file in (home / "mlartifacts").rglob("*.*"):
            assert b"s3cret-value" not in file.read_bytes(), file
        assert b"s3cret-value" not in (home / "mlflow.db").read_bytes()

    def test_diagnosis_and_report_are_artifacts(self, parent, client, tmp_path):
        diagnosis = json.loads(artifact(client, parent, "diagnosis.json", tmp_path).read_text())
        assert diagnosis["verdict"] == "fixed"
        assert "FIXED" in artifact(client, parent, "report/report.md", tmp_path).read_text()

    def test_the_page_its_figures_and_tables_are_there(self, parent, client, tmp_path):
        page = artifact(client, parent, "report/report.html", tmp_path).read_text()
        assert "val_acc, treated against untreated" in page
        names = {file.path for file in client.list_artifacts(parent.info.run_id, "report")}
        assert {"report/metric.png", "report/seeds.png", "report/candidates.png"} <= names
        logged = json.loads(parent.data.tags["mlflow.loggedArtifacts"])
        assert [entry["path"] for entry in logged] == ["symptoms.json", "trials.json"]
        tables = [
            json.loads(artifact(client, parent, entry["path"], tmp_path).read_text())
            for entry in logged
        ]
        assert tables[0]["columns"][:4] == ["code", "name", "severity", "where"]
        assert tables[0]["data"][0][3] == "net.1 (train.py:7)"
        assert [row[:2] for row in tables[1]["data"]] == [
            ["confirmed", "swap-norm(to=layer) @ net.1"],
            ["refuted", "drop-term() @ kl"],
        ]
        assert parent.data.tags["agent.recovery"] == "0.5 → 0.905"

    def test_everything_lies_in_the_directory(self, parent, home):
        assert parent.info.artifact_uri.startswith((home / "mlartifacts").as_uri())
        assert not Path("mlruns").exists()


class TestTrials:
    def test_each_trial_is_a_nested_run(self, trials):
        assert sorted(trials) == [0, 1, 2, 3, 4, 5]
        assert trials[0].info.run_name == "control | seed 0"
        assert trials[1].info.run_name == "swap-norm(to=layer) @ net.1 | seed 0"

    def test_its_treatment_is_in_params_and_as_json(self, trials):
        data = trials[1].data
        assert data.params["swap-norm.to"] == "layer"
        assert data.params["swap-norm.target"] == "net.1"
        assert json.loads(data.tags["agent.treatment"])[0]["remedy"] == "R101"
        assert data.params["seed"] == data.tags["agent.seed"] == "0"

    def test_one_remedy_at_two_places_has_the_parameters_of_both(self):
        both = (SWAP[0], SWAP[0].model_copy(update={"target": "net.4", "params": {"to": "rms"}}))
        params = TrialRecord(make_outcome(1, both), "search").params
        assert params["swap-norm.net.1.to"] == "layer"
        assert params["swap-norm.net.4.to"] == "rms"

    def test_its_end_is_the_status(self, trials):
        assert [trials[n].info.status for n in range(4)] == [
            "FINISHED", "FINISHED", "FAILED", "KILLED",
        ]  # fmt: skip
        assert trials[2].data.tags["agent.ending"] == "raised"

    def test_its_times_are_those_of_the_trial(self, trials):
        assert trials[1].info.start_time == 1_700_000_001_000
        assert trials[1].info.end_time == 1_700_000_003_000

    def test_curves_have_the_steps_of_the_script(self, trials, client):
        histories = [client.get_metric_history(trials[n].info.run_id, "val_acc") for n in (0, 1)]
        for history in histories:
            assert [point.step for point in history] == list(range(0, 100, 10))
            assert history[0].timestamp < history[-1].timestamp
        assert histories[1][-1].value == pytest.approx(0.89)
        assert "val/loss_1" in trials[0].data.metrics

    def test_what_is_not_finite_is_a_tag(self, trials, client):
        history = client.get_metric_history(trials[2].info.run_id, "val_acc")
        assert [point.step for point in history] == [0, 10, 20, 30, 40, 50]
        assert json.loads(trials[2].data.tags["agent.not-finite"]) == {"val_acc": 60}

    def test_what_came_of_its_treatment_is_told_at_the_end(self, trials):
        verdicts = [trials[n].data.tags["agent.tried"] for n in range(4)]
        assert verdicts == ["control", "confirmed", "refuted", "confirmed"]
        assert trials[2].data.tags["agent.reason"] == "no improvement"

    def test_its_trace_can_be_read_back(self, trials, client, tmp_path):
        folder = tmp_path
        for name in ("trace.parquet", "trace.json"):
            artifact(client, trials[1], name, folder)
        expected, trace = make_trace(level=0.8), read_trace(folder / "trace.parquet")
        assert trace.metrics == expected.metrics
        assert trace.modules == expected.modules


def test_artifacts_have_names_that_we_chose(home, client, nasty):
    """Whatever a script calls its modules, metrics and treatments."""
    ledger = Ledger(None, "nasty", home)
    entry = ledger.start(make_request())
    trace = Trace.of(
        [
            {"event": "module", "where": "../../etc/passwd", "type": NASTY, "parameters": 1},
            {"event": "metric", "step": 1, "name": "../../../val_acc", "value": 0.5},
            {"event": "ending", "status": "completed", "steps": 1},
        ]
    )
    evil = nasty.tried[0].treatment
    ledger.record(Outcome(TrialSpec(0, evil), trace, started=1.7e9, seconds=1.0), "search")
    ledger.finish(nasty, "it")
    ledger.close()
    runs = client.search_runs([entry.experiment_id])
    names = {name for run in runs for name in every_artifact(client, run.info.run_id)}
    assert {"diagnosis.json", "report/report.html", "trace.json", "trace.parquet"} <= names
    ours = r"(report/)?[a-z-]+\.(html|json|md|parquet|patch|png)"
    assert [name for name in names if not re.fullmatch(ours, name)] == []


def every_artifact(client, run_id, folder=None):
    for entry in client.list_artifacts(run_id, folder):
        yield from every_artifact(client, run_id, entry.path) if entry.is_dir else [entry.path]


def test_a_diagnosis_that_dies_is_marked(home, client):
    for reason, status in (("ValueError: no", "FAILED"), ("KeyboardInterrupt: ", "KILLED")):
        ledger = Ledger(None, "agent", home)
        entry = ledger.start(make_request())
        ledger.abort(reason)
        ledger.close()
        run = client.get_run(entry.run_id)
        assert run.info.status == status
        assert run.data.tags["agent.verdict"] == "failed"
        assert run.data.tags["agent.error"] == reason


def test_what_dies_after_its_result_keeps_it(home, client):
    ledger = Ledger(None, "agent", home)
    entry = ledger.start(make_request())
    ledger.finish(make_diagnosis(), "done")
    ledger.abort("KeyboardInterrupt: ")
    ledger.close()
    run = client.get_run(entry.run_id)
    assert (run.info.status, run.data.tags["agent.verdict"]) == ("FINISHED", "fixed")


def test_a_failed_diagnosis_is_a_failed_run(home, client):
    ledger = Ledger(None, "agent", home)
    entry = ledger.start(make_request())
    nothing = {"symptoms": (), "tried": (), "fix": None}
    ledger.finish(make_diagnosis("failed", error="it raised", **nothing), "failed")
    ledger.close()
    run = client.get_run(entry.run_id)
    assert (run.info.status, run.data.tags["agent.error"]) == ("FAILED", "it raised")


def test_what_is_too_long_is_cut(home, client):
    ledger = Ledger(None, "agent", home)
    entry = ledger.start(make_request(metric="m" * 7000))
    ledger.finish(make_diagnosis(), "x" * 9000)
    ledger.close()
    data = client.get_run(entry.run_id).data
    assert (len(data.params["metric"]), len(data.tags["mlflow.note.content"])) == (6000, 8000)


class TestResuming:
    def test_the_same_run_goes_on(self, home, client):
        ledger = Ledger(None, "agent", home)
        entry = ledger.start(make_request())
        ledger.abort("killed", killed=True)
        ledger.close()
        again = Ledger(None, "other", home)
        assert again.start(make_request(resume=entry.run_id)) == entry
        again.finish(make_diagnosis(), "done")
        again.close()
        assert client.get_run(entry.run_id).info.status == "FINISHED"

    def test_a_run_that_is_not_there_is_a_usage_error(self, home):
        ledger = Ledger(None, "agent", home)
        with pytest.raises(UsageError, match="no run 0123 to resume"):
            ledger.start(make_request(resume="0123"))
        ledger.close()


class TestFailures:
    def test_a_dead_server_is_not_asked_again_and_again(self, tmp_path, monkeypatch):
        def sleep(seconds):
            pytest.fail(f"it waits {seconds} s for another try")

        monkeypatch.setattr(time, "sleep", sleep)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(InfrastructureError, match="no MLflow server answers"):
            Ledger(f"http://user:word@127.0.0.1:{port}", "agent", tmp_path).check()

    def test_the_password_is_not_shown(self, tmp_path):
        assert Store.locate("http://user:word@host:5000", tmp_path).shown == "http://***@host:5000"

    def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(InfrastructureError, match="give a server or a database"):
            Ledger(str(tmp_path / "mlruns"), "agent", tmp_path).check()

    def test_a_directory_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InfrastructureError, match="cannot make the folder"):
            Ledger(None, "agent", tmp_path / "file" / "home").check()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_directory_without_permission_is_named(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(InfrastructureError, match="not writable"):
            Ledger(None, "agent", tmp_path).check()

    def test_a_broken_database_is_named_at_the_start(self, tmp_path):
        (tmp_path / "mlflow.db").write_text("this is no database")
        ledger = Ledger(None, "agent", tmp_path)
        with pytest.raises(InfrastructureError, match="MLflow at sqlite.* failed"):
            ledger.start(make_request())
        ledger.close()

    def test_a_server_that_never_answers_ends_the_wait(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            ledger = Ledger(f"http://127.0.0.1:{silent.getsockname()[1]}", "agent", tmp_path)
            ledger.check()
            with pytest.raises(InfrastructureError, match="failed"):
                ledger.start(make_request())
            ledger.close()

    def test_what_mlflow_does_not_take_is_kept_in_files(self, tmp_path, home, client):
        database = tmp_path / "mlflow.db"
        shutil.copy(home / "mlflow.db", database)  # saves the migrations
        ledger = Ledger(None, "fresh", tmp_path)
        entry = ledger.start(make_request())
        ledger.record(make_outcome(0), "observe")
        (tmp_path / "mlartifacts").mkdir(exist_ok=True)
        while not list((tmp_path / "mlartifacts").rglob("trace.json")):
            time.sleep(0.02)
        time.sleep(0.2)
        shutil.rmtree(tmp_path / "mlartifacts")
        (tmp_path / "mlartifacts").write_text("in the way")
        ledger.record(make_outcome(1, SWAP), "search")
        ledger.record(make_outcome(2, DROP), "search")
        ledger.finish(make_diagnosis(), "fixed")
        with pytest.raises(InfrastructureError, match="what it did not take is in") as caught:
            ledger.close()
        spool = tmp_path / "spool" / entry.run_id
        assert str(spool) in str(caught.value)
        assert not (spool / "trial-000").exists()
        assert read_trace(spool / "trial-001").metrics == make_trace().metrics
        assert (spool / "trial-002" / "run.json").exists()
        assert json.loads((spool / "diagnosis.json").read_text())["verdict"] == "fixed"


def test_it_does_not_keep_the_diagnosis_waiting(home, monkeypatch):
    go_on, answered = threading.Event(), threading.Event()

    def slowly(store):
        go_on.wait(60)
        answered.set()
        return connect(store)

    monkeypatch.setattr("agent.ledger.book.connect", slowly)
    ledger = Ledger(None, "agent", home)
    ledger.check()
    ledger.open(make_request())
    for number in range(20):
        ledger.record(make_outcome(number), "search")
    assert not answered.is_set()
    go_on.set()
    ledger.abort("enough")
    ledger.close()
    assert answered.is_set()


def test_no_run_is_left_active_and_no_thread(recorded):
    import mlflow

    assert mlflow.active_run() is None
    assert "ledger" not in {thread.name for thread in threading.enumerate()}


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_ledger import *
ledger = Ledger(None, "agent", Path({home!r}))
ledger.check()
assert "mlflow" not in sys.modules
ledger.open(make_request())
ledger.record(make_outcome(0), "observe")
ledger.finish(make_diagnosis(), "fixed")
ledger.close()
"""


@pytest.mark.slow
def test_first_use_prints_nothing_and_two_at_once_get_on(tmp_path):
    program = PROGRAM.format(tests=str(Path(__file__).parent), home=str(tmp_path))
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlartifacts"}


def test_a_trial_is_recalled_by_a_later_diagnosis_of_the_same(tmp_path):
    kept, cut = make_outcome(1, SWAP, seed=3), make_outcome(2, DROP, status="killed")
    first = Ledger(None, "agent", tmp_path)
    first.open(make_request(), identity="abc")
    first.record(kept, "search")
    first.record(cut, "search")
    first.close()

    def recall(spec, same="abc", **options):
        later = Ledger(None, "agent", tmp_path)
        later.open(make_request(**options), identity=same)
        try:
            return later.recall(spec)
        finally:
            later.abort("enough")
            later.close()

    spec = TrialSpec(9, SWAP, 3)
    found = recall(spec)
    assert found is not None and found.spec == spec and found.recalled
    assert found.trace.metrics["val_acc"].values == kept.trace.metrics["val_acc"].values
    assert found.seconds == kept.seconds
    assert recall(TrialSpec(9, SWAP, 4)) is None
    assert recall(TrialSpec(9, DROP)) is None  # What was cut short from outside is run again.
    assert recall(spec, same="other") is None
    assert recall(spec, fresh=True) is None


def test_a_trial_of_a_patched_script_is_recalled_but_is_no_control(tmp_path):
    own, patched = make_outcome(0, ()), make_outcome(5, (), seed=1)
    first = Ledger(None, "agent", tmp_path)
    first.open(make_request(), identity="abc")
    first.record(own, "observe")
    first.record_patched(patched, "def")
    run_id = first.entry.run_id
    first.close()
    resumed = Ledger(None, "agent", tmp_path)
    resumed.open(make_request(resume=run_id), identity="abc")
    assert [outcome.spec.number for outcome in resumed.known] == [0]
    spec = TrialSpec(9, (), 1)
    assert resumed.recall(spec) is None
    found = resumed.recall(spec, "def")
    assert found is not None and found.spec == spec and found.recalled
    assert resumed.recall(spec, "other") is None
    resumed.abort("enough")
    resumed.close()
