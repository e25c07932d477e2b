"""Whole diagnoses, on real scripts: what is found, tried, confirmed and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient

from agent.diagnosis import Diagnosis
from agent.errors import UsageError
from agent.progress import Notice, Progress, TrialEnded, TrialStarted

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Diagnose = Callable[..., Diagnosis]

TRAINING = """
    import math, os, signal, sys, time
    import torch
    torch.manual_seed(0)
    inputs = torch.randn(256, 6)
    targets = inputs @ torch.randn(6, 1) + 0.3 * torch.randn(256, 1)
    model = torch.nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for epoch in range(10):
        for rows in torch.randperm(200).split(25):
            loss = torch.nn.functional.mse_loss(model(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            EVERY_STEP
        with torch.no_grad():
            error = torch.nn.functional.mse_loss(model(inputs[200:]), targets[200:]).item()
        print(f"epoch {epoch} loss={loss.item():.4f} val_loss={error:.4f}")
"""


def training(every_step: str = "pass", rate: float = 0.05) -> str:
    return TRAINING.replace("RATE", str(rate)).replace("EVERY_STEP", every_step)


def remedies_of(diagnosis: Diagnosis) -> set[str]:
    assert diagnosis.fix is not None
    return {action.name for action in diagnosis.fix.treatment}


@dataclass(frozen=True)
class Bundled:
    """A bundled workload, made shorter, and what its diagnosis has to say."""

    name: str
    args: str
    alarms: set[str]
    cures: set[str]
    refuted: set[str] = field(default_factory=set)
    offered: tuple[str, ...] = ()


BUNDLED = (
    Bundled(
        "context_collapse",
        "--epochs 6",
        {"P101", "P102"},
        {"swap-norm", "reestimate-statistics"},
        {"scale-learning-rate", "strengthen-term", "inject-noise"},
    ),
    Bundled(
        "stochastic_bottleneck",
        "--epochs 8 --train-size 640",
        {"P401"},
        {"mute-noise", "drop-term"},
    ),
    Bundled(
        "checkpointed_gradients", "--epochs 8 --train-size 640", {"P601"}, {"disable-checkpointing"}
    ),
)


@pytest.mark.parametrize(
    "bundled",
    [
        pytest.param(one, id=one.name, marks=[] if one is BUNDLED[-1] else pytest.mark.long)
        for one in BUNDLED
    ],
)
def test_a_bundled_workload_is_cured_and_the_rivals_are_refuted(
    diagnosed: Diagnose, bundled: Bundled
) -> None:
    script = ROOT / "workloads" / bundled.name / "sick.py"
    diagnosis = diagnosed(script, *bundled.args.split(), offer=bundled.offered)
    assert diagnosis.verdict == "fixed"
    alarming = [symptom for symptom in diagnosis.symptoms if symptom.alarming]
    assert bundled.alarms <= {symptom.code for symptom in alarming}
    assert all(s.source and s.source.startswith("sick.py:") for s in alarming)
    assert remedies_of(diagnosis) <= bundled.cures
    refuted = {t.treatment[0].name for t in diagnosis.tried if t.status == "refuted"}
    assert bundled.refuted <= refuted
    fix = diagnosis.fix
    assert fix is not None and fix.effect > 0 and fix.ci[0] > 0 and fix.p_value < 0.05
    assert sorted(fix.metric_before) == sorted(fix.metric_after) == [1, 2, 3]
    assert diagnosis.cost.baseline_equivalents <= 24


def test_a_patch_is_offered_when_the_patched_script_recovers_as_well(
    diagnosed: Diagnose, write, project: Path, contents
) -> None:
    script = write("train.py", training("").replace("            optimizer.zero_grad()\n", ""))
    before = contents()
    diagnosis = diagnosed(script)
    fix = diagnosis.fix
    assert fix is not None and fix.patch is not None and "optimizer.zero_grad()\n" in fix.patch
    check = fix.patch_check
    assert check is not None and check.passed
    assert check.metric == {1: fix.metric_after[1]}
    assert diagnosis.cost.baseline_equivalents == pytest.approx(diagnosis.cost.trials + 1)
    assert contents() == before


def test_what_an_earlier_diagnosis_has_run_is_not_run_again(
    diagnosed: Diagnose, write, home: Path
) -> None:
    script = write("train.py", training(rate=2.0))
    first, second = diagnosed(script), diagnosed(script)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    assert second.fix.patch_check == first.fix.patch_check and first.fix.patch_check.passed
    for diagnosis, recalled in (first, 0), (second, 1):
        runs = client.search_runs(
            [diagnosis.mlflow.experiment_id],
            f"tags.`mlflow.parentRunId` = '{diagnosis.mlflow.run_id}' and "
            "tags.`agent.part` = 'patch'",
        )
        assert len(runs) == 1
        assert sum("agent.recalled" in run.data.tags for run in runs) == recalled
    assert first.cost.recalled == 0
    assert second.cost.recalled == second.cost.trials
    assert second.fix is not None and first.fix is not None
    assert second.fix.metric_after == first.fix.metric_after
    assert diagnosed(script, observe=True, fresh=True).cost.recalled == 0
    write("train.py", training(rate=2.1))
    assert diagnosed(script, observe=True).cost.recalled == 0


def test_the_healthy_twin_is_healthy_without_a_trial(diagnosed: Diagnose) -> None:
    script = ROOT / "workloads" / "stochastic_bottleneck" / "healthy.py"
    diagnosis = diagnosed(script, seed_base=11)
    assert diagnosis.verdict == "healthy"
    assert not [symptom for symptom in diagnosis.symptoms if symptom.alarming]
    assert not diagnosis.tried
    assert diagnosis.cost.trials == 1


def test_a_script_that_stops_because_it_diverges_is_sick_and_cured(
    diagnosed: Diagnose, write
) -> None:
    check = "assert math.isfinite(loss.item()) and loss.item() < 1e9, 'diverged'"
    diagnosis = diagnosed(write("train.py", training(check, rate=2.0)))
    assert diagnosis.verdict == "fixed"
    assert remedies_of(diagnosis) == {"scale-learning-rate"}


@pytest.mark.long
def test_two_faults_end_with_two_remedies(diagnosed: Diagnose) -> None:
    diagnosis = diagnosed(ROOT / "tests" / "sick" / "two_faults.py")
    assert diagnosis.verdict == "fixed"
    assert {"P304", "P810"} <= {s.code for s in diagnosis.symptoms if s.alarming}
    assert len(remedies_of(diagnosis)) == 2 and "drop-activation" in remedies_of(diagnosis)
    assert remedies_of(diagnosis) & {"scale-learning-rate", "swap-optimizer"}
    alone = [t.status for t in diagnosis.tried if t.treatment[0].name == "drop-activation"]
    assert "refuted" in alone


def test_a_run_that_takes_too_long_is_cured_on_a_prefix(diagnosed: Diagnose, write) -> None:
    notices: list[str] = []

    def listen(progress: Progress) -> None:
        if isinstance(progress, Notice):
            notices.append(progress.text)

    script = write("train.py", training("time.sleep(0.02)", rate=1e-5))
    diagnosis = diagnosed(script, time_budget=12, listener=listen)
    assert diagnosis.verdict == "fixed"
    assert any("trials stop after" in notice for notice in notices)
    prefix = diagnosis.workload.prefix
    assert prefix is not None and prefix < 80


def test_without_a_cure_in_reach_it_is_unresolved(diagnosed: Diagnose, write) -> None:
    check = "assert math.isfinite(loss.item()) and loss.item() < 1e9, 'diverged'"
    script = write("train.py", training(check, rate=2.0))
    diagnosis = diagnosed(script, skip=("scale-learning-rate",))
    assert diagnosis.verdict == "unresolved"
    assert diagnosis.symptoms and diagnosis.fix is None


def test_a_healthy_script_forced_into_trials_is_not_fixed(diagnosed: Diagnose, write) -> None:
    diagnosis = diagnosed(write("train.py", training()), offer=("scale-learning-rate",))
    assert diagnosis.verdict == "healthy"
    assert {tried.treatment[0].name for tried in diagnosis.tried} == {"scale-learning-rate"}


def test_observing_runs_no_trial(diagnosed: Diagnose, write) -> None:
    check = "assert math.isfinite(loss.item()) and loss.item() < 1e9, 'diverged'"
    diagnosis = diagnosed(write("train.py", training(check, rate=2.0)), observe=True)
    assert (diagnosis.verdict, diagnosis.cost.trials) == ("unresolved", 1)


@pytest.mark.parametrize(
    "text, said",
    [
        (training("if epoch == 2: raise ValueError('bad shard')"), "ValueError: bad shard"),
        (training("while True: time.sleep(0.01)"), "--timeout"),
    ],
    ids=["raises", "loops"],
)
def test_a_script_that_fails_by_itself_is_said_to_in_one_line(
    diagnosed: Diagnose, write, text: str, said: str
) -> None:
    diagnosis = diagnosed(write("train.py", text), timeout=5)
    assert diagnosis.verdict == "failed"
    assert said in (diagnosis.error or "")
    assert "\n" not in (diagnosis.error or "")


def test_an_unknown_metric_lists_the_known_ones(diagnosed: Diagnose, write) -> None:
    with pytest.raises(UsageError, match="Did you mean val_loss.*It reports: loss, val_loss"):
        diagnosed(write("train.py", training()), metric="val_los")


def test_the_folder_of_the_user_is_left_as_it_was(
    diagnosed: Diagnose, write, contents, project: Path
) -> None:
    store = f"sqlite:///{project / 'mlflow.db'}"
    write("model.pt", "an old checkpoint")
    saving = "torch.save(model.state_dict(), 'model.pt'); log({'val_r2': 1 - loss.item()})"
    text = training(saving).replace(
        "import torch\n",
        f"import torch, mlflow\n    mlflow.set_tracking_uri({store!r})\n"
        "    log = mlflow.log_metrics\n",
    )
    script = write("train.py", text)
    before = contents()
    diagnosis = diagnosed(script, metric="val_r2")
    assert contents() == before
    assert diagnosis.workload.metric is not None
    assert diagnosis.workload.metric.source == "mlflow"


def test_a_diagnosis_that_broke_off_goes_on_where_it_was(
    diagnosed: Diagnose, write, home: Path
) -> None:
    check = "assert math.isfinite(loss.item()) and loss.item() < 1e9, 'diverged'"
    script = write("train.py", training(check, rate=2.0))
    ended: list[int] = []

    def interrupt(progress: Progress) -> None:
        if isinstance(progress, TrialEnded):
            ended.append(progress.number)
            if len(ended) == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diagnosed(script, listener=interrupt, slots=1, experiment="broken-off")

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("broken-off")
    assert experiment is not None
    where = [experiment.experiment_id]
    (parent,) = client.search_runs(where, "tags.`agent.verdict` = 'failed'")
    assert parent.info.status == "KILLED"
    diagnosis = diagnosed(script, slots=1, experiment="broken-off", resume=parent.info.run_id)
    assert diagnosis.verdict == "fixed"
    assert diagnosis.mlflow is not None and diagnosis.mlflow.run_id == parent.info.run_id

    children = client.search_runs(
        where, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=100
    )
    tags = [r.data.tags for r in children if r.data.tags["agent.part"] != "patch"]
    identities = [(told["agent.treatment"], told["agent.seed"]) for told in tags]
    assert len(identities) == len(set(identities)) == diagnosis.cost.trials


def test_what_is_recorded_can_be_found(diagnosed: Diagnose, write, home: Path) -> None:
    started: list[TrialStarted] = []

    def listen(progress: Progress) -> None:
        if isinstance(progress, TrialStarted):
            started.append(progress)

    check = "assert math.isfinite(loss.item()) and loss.item() < 1e9, 'diverged'"
    diagnosis = diagnosed(write("train.py", training(check, rate=2.0)), listener=listen)
    assert diagnosis.mlflow is not None
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    run = client.get_run(diagnosis.mlflow.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["agent.verdict"] == "fixed"
    assert "scale-learning-rate" in run.data.tags["agent.fix"]
    assert "diagnosis.json" in {file.path for file in client.list_artifacts(run.info.run_id)}
    children = client.search_runs(
        [diagnosis.mlflow.experiment_id],
        f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
        max_results=100,
    )
    tried = [child for child in children if child.data.tags["agent.part"] != "patch"]
    assert len(tried) == len(started)


def test_a_script_with_an_agent_module_of_its_own(diagnosed: Diagnose, write) -> None:
    write("agent.py", "RATE = 2.0")
    text = training("assert loss.item() < 1e9, 'diverged'")
    text = text.replace("import torch\n", "import torch, agent\n").replace("0.05", "agent.RATE")
    assert diagnosed(write("train.py", text)).verdict == "fixed"
