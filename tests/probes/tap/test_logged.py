"""Each case runs in a process of its own: the hooks stay for the life of a process."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HEAD = """
import json, pathlib, sys
from probes.tap import logged
found = []
logged.install(lambda *report: found.append(report), pathlib.Path("scratch").absolute())
"""
TAIL = """
print(json.dumps([(name, float(value), source) for name, value, source in found]))
"""


def reports(tmp_path: Path, text: str) -> list[Any]:
    (tmp_path / "user").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(text) + TAIL],
        cwd=tmp_path / "user",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(report) for report in json.loads(done.stdout.splitlines()[-1])]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_nothing_is_imported_for_a_script_that_logs_nothing(tmp_path: Path) -> None:
    text = "assert not {'mlflow', 'tensorboard', 'wandb'} & set(sys.modules)"
    assert reports(tmp_path, text) == []


@pytest.mark.parametrize(
    "where",
    ["", "mlflow.set_tracking_uri('http://127.0.0.1:1')", "mlflow.set_tracking_uri('mine')"],
)
def test_mlflow(tmp_path: Path, where: str) -> None:
    found = reports(
        tmp_path,
        f"""
        import mlflow
        {where}
        mlflow.set_experiment("mine")
        with mlflow.start_run():
            mlflow.log_param("lr", 1)
            mlflow.log_metric("val_acc", 0.5, step=1)
            mlflow.log_metrics({{"a": 1, "b": 2}})
            mlflow.log_metric("later", 3, synchronous=False).wait()
        """,
    )
    assert [(name, value) for name, value, _ in found] == [
        ("val_acc", 0.5), ("a", 1), ("b", 2), ("later", 3),
    ]  # fmt: skip
    assert {source for *_, source in found} == {"mlflow"}
    assert names(tmp_path / "user") == {"scratch"}


def test_mlflow_client_with_an_address_of_its_own(tmp_path: Path) -> None:
    found = reports(
        tmp_path,
        """
        from mlflow import MlflowClient
        from mlflow.entities import Metric
        client = MlflowClient(tracking_uri="sqlite:///mine.db")
        run = client.create_run(client.create_experiment("mine")).info.run_id
        client.log_metric(run, "a", 1)
        client.log_batch(run, metrics=[Metric("b", 2, 0, 0)])
        assert client.get_run(run).data.metrics == {"a": 1, "b": 2}
        """,
    )
    assert found == [("a", 1, "mlflow"), ("b", 2, "mlflow")]
    assert names(tmp_path / "user") == {"scratch"}


def test_autolog_still_works(tmp_path: Path) -> None:
    reports(tmp_path, "import mlflow; mlflow.autolog(); mlflow.pytorch.autolog()")


def test_tensorboard(tmp_path: Path) -> None:
    found = reports(
        tmp_path,
        """
        import os, torch
        from torch.utils.tensorboard import SummaryWriter
        with SummaryWriter(os.path.abspath("runs")) as writer:
            writer.add_scalar("Loss/train", torch.tensor(0.5), 1)
            writer.add_scalar(tag="acc", scalar_value=0.25)
            writer.add_scalars("both", {"a": 1, "b": 2}, 1)
        """,
    )
    assert [(name, value) for name, value, _ in found] == [
        ("Loss/train", 0.5), ("acc", 0.25), ("both/a", 1), ("both/b", 2),
    ]  # fmt: skip
    assert names(tmp_path / "user") == {"scratch"}


def test_weights_and_biases(tmp_path: Path) -> None:
    stand_in = tmp_path / "user" / "wandb.py"
    stand_in.parent.mkdir()
    stand_in.write_text(
        textwrap.dedent(
            """
            log = None
            class Run:
                def log(self, data, step=None): pass
            def init(project=None, mode=None):
                global log
                assert mode == "disabled"
                run = Run()
                log = run.log
                return run
            """
        )
    )
    found = reports(
        tmp_path,
        """
        import wandb
        run = wandb.init(project="p", mode="online")
        wandb.log({"acc": 0.5})
        run.log({"acc": 0.6}, step=3)
        """,
    )
    assert found == [("acc", 0.5, "wandb"), ("acc", 0.6, "wandb")]
