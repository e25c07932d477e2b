"""Healthy scripts of many kinds raise no alarm, and train as if nobody watched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from probes import Objective, Trace, probes

HERE = Path(__file__).parent
SCRIPTS = sorted((HERE / "healthy").glob("*.py"))
OTHERS = [  # script, working directory, what it needs
    ("parallel_preparation.py", ".", "mlflow"),
    ("project/src/train.py", "project", "yaml"),
    ("frameworks/lightning_classifier.py", "frameworks", "lightning"),
    ("frameworks/transformers_trainer.py", "frameworks", "transformers"),
]
RunScript = Callable[..., Trace]
RunPlainly = Callable[[Path, Path], Path]


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", SCRIPTS, ids=lambda script: f"{script.parent.name}/{script.stem}"
)
def test_a_healthy_script_raises_no_alarm(
    script: Path, run_script: RunScript, run_plainly: RunPlainly, tmp_path: Path
) -> None:
    check(run_script(script), points=5)
    check_same(tmp_path, script, script.parent, run_plainly)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder", "needed"), OTHERS, ids=lambda value: str(value))
def test_a_script_of_another_kind_is_left_alone(
    name: str,
    folder: str,
    needed: str,
    run_script: RunScript,
    run_plainly: RunPlainly,
    tmp_path: Path,
) -> None:
    pytest.importorskip(needed)
    script, directory = HERE / "scripts" / name, HERE / "scripts" / folder
    check(run_script(script, directory=directory), points=5)
    check_same(tmp_path, script, directory, run_plainly)


def check(trace: Trace, points: int) -> None:
    assert trace.ending is not None
    assert trace.ending.status == "completed", trace.ending.output_tail
    objective = Objective.infer(trace)
    assert trace.steps >= 60
    assert objective is not None and len(objective.series(trace)) >= points
    alarms = [
        symptom for probe in probes for symptom in probe.read(trace, objective) if symptom.alarming
    ]
    assert not alarms
    assert not trace.notes


def check_same(tmp_path: Path, script: Path, directory: Path, run_plainly: RunPlainly) -> None:
    """Where the script saves what it trained, a plain run saves the same bits."""
    observed = list(tmp_path.glob("scratch*/files/**/final.pt"))
    if not observed:
        return
    plain = run_plainly(script, directory) / "final.pt"
    first, second = (torch.load(path, weights_only=False) for path in (*observed, plain))
    assert same(first, second)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return all(same(a, b) for a, b in zip(one, other, strict=True))
