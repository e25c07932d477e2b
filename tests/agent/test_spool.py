"""What MLflow was away for is delivered later, once, and nothing of it is lost."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.errors import InfrastructureError
from agent.ledger import Ledger
from agent.spool import deliver
from agent.store import Store
from tests.agent.ledger.test_ledger import make_diagnosis, make_outcome, make_request

AWAY = "http://127.0.0.1:9/"
SWAP = make_diagnosis().tried[0].treatment


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(Store.locate(None, tmp_path_factory.mktemp("store")).uri)


@pytest.fixture(scope="module")
def unheard_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It takes seconds to see that MLflow is not there."""
    home = tmp_path_factory.mktemp("home")
    ledger = Ledger(AWAY, "agent", home)
    ledger.open(make_request())
    ledger.record(make_outcome(0), "observe")
    ledger.record(make_outcome(1, SWAP), "search")
    ledger.finish(make_diagnosis(), "it")
    with pytest.raises(InfrastructureError, match="spool"):
        ledger.close()
    (folder,) = (home / "spool").iterdir()
    assert (folder / "diagnosis.json").exists()
    return home


@pytest.fixture
def spooled(unheard_home: Path, tmp_path: Path) -> Path:
    """A home with a diagnosis that MLflow never heard of."""
    shutil.copytree(unheard_home, tmp_path, dirs_exist_ok=True)
    return tmp_path


def nested(client: Any, experiment: str, parent: str) -> list[Any]:
    condition = f"tags.`mlflow.parentRunId` = '{parent}'"
    return list(client.search_runs([experiment], condition))


def test_a_whole_diagnosis(spooled: Path, client: Any) -> None:
    (delivery,) = deliver(spooled, client.tracking_uri, "agent")
    assert not delivery.problem
    run = client.get_run(delivery.run_id)
    assert run.info.status == "FINISHED" and run.data.tags["agent.verdict"] == "fixed"
    assert run.data.params["seeds"] == "3"
    trials = nested(client, run.info.experiment_id, delivery.run_id)
    assert sorted(trial.data.tags["agent.trial"] for trial in trials) == ["0", "1"]
    assert {trial.data.metrics["val_acc"] for trial in trials}
    assert list((spooled / "spool").iterdir()) == []
    assert list(deliver(spooled, client.tracking_uri, "agent")) == []


def test_the_rest_of_a_diagnosis(spooled: Path, client: Any) -> None:
    """MLflow went away in the middle: the run is there, and ends with what was spooled."""
    ledger = Ledger(client.tracking_uri, "agent", spooled)
    run_id = ledger.start(make_request()).run_id
    (folder,) = (spooled / "spool").iterdir()
    (folder / "request.json").unlink()
    folder.rename(folder.with_name(run_id))
    (delivery,) = deliver(spooled, client.tracking_uri, "agent")
    assert delivery.run_id == run_id
    assert client.get_run(run_id).data.tags["agent.verdict"] == "fixed"


def test_what_cannot_be_delivered_stays(
    spooled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in (spooled / "spool").rglob("*"))
    monkeypatch.setenv("AGENT_HOME", str(spooled))
    assert main(["sync", "--tracking-uri", AWAY]) == 4
    assert "still in the spool" in capsys.readouterr().err
    assert sorted(path.name for path in (spooled / "spool").rglob("*")) == before


def test_a_delivery_that_broke_off_makes_no_second_run(spooled: Path, client: Any) -> None:
    ledger = Ledger(client.tracking_uri, "agent", spooled)
    run_id = ledger.start(make_request()).run_id
    ledger.record(make_outcome(0), "observe")
    ledger.close()
    (folder,) = (spooled / "spool").iterdir()
    (folder / "run-id").write_text(run_id)
    (delivery,) = deliver(spooled, client.tracking_uri, "agent")
    assert delivery.run_id == run_id
    experiment = client.get_run(run_id).info.experiment_id
    assert len(nested(client, experiment, run_id)) == 2


def test_a_trial_that_was_cut_off_is_left_out(spooled: Path, client: Any) -> None:
    (trial,) = (spooled / "spool").glob("*/trial-001")
    (trial / "run.json").write_text("{")
    (delivery,) = deliver(spooled, client.tracking_uri, "agent")
    run = client.get_run(delivery.run_id)
    assert len(nested(client, run.info.experiment_id, delivery.run_id)) == 1


def test_a_diagnosis_that_still_runs_is_left_alone(spooled: Path, client: Any) -> None:
    (folder,) = (spooled / "spool").iterdir()
    (folder / "diagnosis.json").unlink()
    assert list(deliver(spooled, client.tracking_uri, "agent")) == []
    long_ago = time.time() - 10**6
    os.utime(folder, (long_ago, long_ago))
    (delivery,) = deliver(spooled, client.tracking_uri, "agent")
    assert client.get_run(delivery.run_id).info.status == "KILLED"


def test_no_password_is_spooled(tmp_path: Path) -> None:
    addresses = {"tracking_uri": "http://me:unsaid@127.0.0.1:9", "storage": "x://me:unsaid@db/x"}
    ledger = Ledger(AWAY, "agent", tmp_path)
    ledger.open(make_request().model_copy(update=addresses))
    ledger.abort("enough")
    ledger.close()
    (folder,) = (tmp_path / "spool").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    texts = [file.read_text() for file in folder.iterdir()]
    assert len(texts) == 2 and not any("unsaid" in text for text in texts)


def test_a_spool_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    ledger = Ledger(AWAY, "agent", tmp_path)
    ledger.open(make_request())
    ledger.finish(make_diagnosis(), "it")
    with pytest.raises(InfrastructureError, match="spool failed, too .*the record is incomplete"):
        ledger.close()


def test_a_trial_that_was_cut_off_in_mlflow_is_recorded_anew(spooled: Path, client: Any) -> None:
    """MLflow went away while it took the trial: what it has of it is not taken for the trial."""
    ledger = Ledger(client.tracking_uri, "agent", spooled)
    entry = ledger.start(make_request())
    ledger.close()
    tags = {"mlflow.parentRunId": entry.run_id, "agent.trial": "0"}
    half = client.create_run(entry.experiment_id, tags=tags).info.run_id
    (folder,) = (spooled / "spool").iterdir()
    (folder / "run-id").write_text(entry.run_id)
    (delivery,) = deliver(spooled, client.tracking_uri, "agent")
    trials = nested(client, entry.experiment_id, delivery.run_id)
    assert half not in {trial.info.run_id for trial in trials}
    assert sorted(trial.data.tags["agent.trial"] for trial in trials) == ["0", "1"]
    assert {trial.info.status for trial in trials} == {"FINISHED"}
