"""The known-good configuration: how it is read, what is suspected, and whole diagnoses with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from agent.cli import main
from agent.diagnosis import Diagnosis
from agent.errors import UsageError
from agent.known_good import arguments_of_run, differing, split_arguments
from agent.ledger.lookup import params_of
from agent.progress import Notice, Progress

ROOT = Path(__file__).parents[2]
Diagnose = Callable[..., Diagnosis]
SCRIPT = """
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--betas", type=float, nargs=2)
parser.add_argument("--batch-size", type=int)
parser.add_argument("--amp", action=argparse.BooleanOptionalAction)
parser.add_argument("--verbose", action="store_true")
print(cfg.optimizer.decay)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


class TestArguments:
    def test_quotes_are_those_of_a_shell(self, script: Path) -> None:
        assert split_arguments("--name 'a b' --lr=1", script) == ("--name", "a b", "--lr=1")

    @pytest.mark.parametrize("before", ["train.py", "python train.py", "python3.12 src/train.py"])
    def test_the_script_itself_may_stand_before_them(self, script: Path, before: str) -> None:
        assert split_arguments(f"{before} --lr 1", script) == ("--lr", "1")

    def test_another_word_in_front_is_an_argument(self, script: Path) -> None:
        assert split_arguments("data.py --lr 1", script) == ("data.py", "--lr", "1")

    def test_what_looks_guilty_comes_first(self) -> None:
        bad = "--seed 1 --width 80 --lr 0.5 --name new".split()
        good = "--seed 2 --width 64 --lr 0.005 --name old".split()
        names = [difference.name for difference in differing(bad, good, "--good")]
        assert names[:2] == ["--lr", "--width"]


class TestParametersOfARun:
    def test_what_the_bad_arguments_set_is_set_in_the_same_way(self, script: Path) -> None:
        params = {"lr": "0.01", "batch_size": "64", "betas": "[0.9, 0.95]"}
        bad = ["--lr=0.1", "--batch_size", "32", "--betas", "0.8", "0.9"]
        args, unknown = arguments_of_run(params, bad, script)
        assert list(args) == ["--lr=0.01", "--batch_size", "64", "--betas", "0.9", "0.95"]
        assert unknown == []

    def test_what_they_do_not_set_is_an_option_of_the_script(self, script: Path) -> None:
        args, unknown = arguments_of_run({"batch_size": "64", "commit": "f00"}, [], script)
        assert (args, unknown) == (("--batch-size", "64"), ["commit"])

    @pytest.mark.parametrize(
        ("bad", "value", "expected"),
        [
            ("--amp", "True", "--amp"),
            ("--amp", "False", ""),
            ("--no-amp", "True", "--amp"),
            ("--no-amp", "False", "--no-amp"),
            ("--amp true", "False", "--amp False"),
            ("", "True", "--amp"),
            ("", "False", "--no-amp"),
        ],
    )
    def test_flags(self, script: Path, bad: str, value: str, expected: str) -> None:
        args, _ = arguments_of_run({"amp": value}, bad.split(), script)
        assert list(args) == expected.split()

    def test_a_flag_that_is_off_by_default_is_not_given(self, script: Path) -> None:
        assert arguments_of_run({"verbose": "False"}, [], script) == ((), [])

    def test_none_leaves_a_setting_out(self, script: Path) -> None:
        assert arguments_of_run({"lr": "None"}, ["--lr", "1"], script)[0] == ()

    def test_hydra_settings_are_known_by_their_word_in_the_source(self, script: Path) -> None:
        params = {"optimizer.decay": "0.1", "commit": "f00", "model.depth": "4"}
        args, unknown = arguments_of_run(params, ["model.depth=2"], script)
        assert set(args) == {"model.depth=4", "optimizer.decay=0.1"}
        assert unknown == ["commit"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--good", "--lr '1", "train.py"], '--good "--lr \'1" cannot be read: no closing quot'),
        (["--good", "--lr 1e-1", "train.py", "--lr=0.1"], "--good has the same settings"),
        (["--good", "", "train.py"], "--good has the same settings"),
        (["--good", "--lr 1", "--good-run", "abc", "train.py"], "give one of them"),
        (["--try", "revert-setting", "train.py"], "needs --good or --good-run"),
    ],
)
def test_a_good_configuration_that_makes_no_sense_is_one_line(
    controller: object, complaint: Callable[[], str], arguments: list[str], said: str
) -> None:
    assert main(["diagnose", *arguments]) == 2
    assert said in complaint()


def test_the_good_arguments_reach_the_request(controller) -> None:
    assert main(["diagnose", "--good", "train.py --lr '1 2'", "train.py", "--lr", "3"]) == 0
    assert controller.request.good == ("--lr", "1 2")
    assert main(["diagnose", "--good-run", "abc", "train.py"]) == 0
    assert (controller.request.good, controller.request.good_run) == (None, "abc")


def test_no_difference_is_a_usage_error_wherever_it_is_found() -> None:
    with pytest.raises(UsageError, match="--good-run abc has the same settings"):
        differing(["--lr", "1"], ["--lr", "1.0"], "--good-run abc")


WORKLOAD = ROOT / "workloads" / "known_good" / "train.py"
GOOD = ("--lr", "0.03", "--momentum", "0.9", "--epochs", "6")
BAD = (
    "--lr 0.15 --momentum 0.98 --batch-size 48 --width 80 --dropout 0.05 --weight-decay 1e-4 "
    "--activation gelu --label-smoothing 0.05 --schedule cosine --epochs 6"
)


@pytest.mark.slow
@pytest.mark.long
def test_two_settings_that_fail_together_are_found_among_nine(diagnosed: Diagnose) -> None:
    diagnosis = diagnosed(WORKLOAD, *BAD.split(), good=GOOD)
    assert diagnosis.verdict == "fixed"
    assert diagnosis.fix is not None and diagnosis.known_good is not None
    (action,) = diagnosis.fix.treatment
    assert (action.name, action.target) in {
        ("revert-setting", "--lr"),
        ("revert-setting", "--momentum"),
    }
    found = diagnosis.known_good
    assert len(found.differences) == 9
    assert set(found.cause) == set(found.cures or ()) == {"--lr", "--momentum"}
    assert diagnosis.summary == found.message
    assert "--lr 0.15 and --momentum 0.98 together; reverting either one" in found.message
    assert diagnosis.cost.trials <= 24 and diagnosis.cost.baseline_equivalents <= 24
    assert min(diagnosis.fix.metric_after.values()) > 0.8
    assert max(diagnosis.fix.metric_before.values()) < 0.3
    assert "python train.py --lr 0.03 --momentum 0.98 --batch-size 48" in diagnosis.fix.advice
    treatments = [tried.treatment for tried in diagnosis.tried]
    assert all(treatments.count(treatment) == 1 for treatment in treatments)


SECOND = ROOT / "tests" / "sick" / "known_good.py"
SECOND_BAD = "rate=1e-6 decay=60 hidden=20 batch=24 noise=0.15 clip=2.0 seed=3".split()


@pytest.mark.slow
@pytest.mark.long
def test_of_two_faults_both_are_reverted(diagnosed: Diagnose) -> None:
    diagnosis = diagnosed(SECOND, *SECOND_BAD, good=("rate=0.01",))
    assert diagnosis.verdict == "fixed"
    assert diagnosis.fix is not None and diagnosis.known_good is not None
    assert {action.target for action in diagnosis.fix.treatment} == {"rate", "decay"}
    assert set(diagnosis.known_good.cause) == {"rate", "decay"}
    assert diagnosis.cost.trials <= 24
    assert "known_good.py rate=0.01 hidden=20" in diagnosis.fix.advice


@pytest.mark.slow
def test_a_good_configuration_that_is_no_better_leaves_the_diagnosis_as_it_was(
    diagnosed: Diagnose,
) -> None:
    told: list[Progress] = []
    diagnosis = diagnosed(
        SECOND, "updates=96", good=("hidden=14", "updates=96"), listener=told.append
    )
    assert (diagnosis.verdict, diagnosis.cost.trials) == ("healthy", 2)
    lines = [event.text for event in told if isinstance(event, Notice)]
    assert len(lines) == 1 and "is not better than the bad one" in lines[0]


@pytest.mark.slow
def test_a_good_configuration_that_fails_is_said_to(diagnosed: Diagnose) -> None:
    diagnosis = diagnosed(SECOND, "updates=48", good=("updates=forty",))
    assert diagnosis.verdict == "failed"
    assert "the good configuration fails by itself (raised" in (diagnosis.error or "")


class TestARunOfMLflow:
    @pytest.fixture
    def logged(self, tmp_path: Path) -> Callable[..., tuple[str, str]]:
        """Logs a run with parameters; gives the store and the run."""

        def log(**params: object) -> tuple[str, str]:
            store = f"sqlite:///{tmp_path / 'store.db'}"
            client = MlflowClient(tracking_uri=store)
            experiment = client.create_experiment("theirs", str(tmp_path / "artifacts"))
            run = client.create_run(experiment)
            for name, value in params.items():
                client.log_param(run.info.run_id, name, value)
            return store, run.info.run_id

        return log

    @pytest.mark.slow
    @pytest.mark.long
    def test_its_parameters_are_the_good_settings(
        self, logged: Callable[..., tuple[str, str]], diagnosed: Diagnose
    ) -> None:
        store, run = logged(rate=0.01, hidden=16, commit="f00", updates=240)
        diagnosis = diagnosed(
            SECOND, "rate=1e-6", "hidden=20", good_run=run, tracking_uri=store, seeds=2
        )
        assert diagnosis.verdict == "fixed" and diagnosis.fix is not None
        assert {action.target for action in diagnosis.fix.treatment} == {"rate"}
        assert diagnosis.known_good is not None
        assert {d.name for d in diagnosis.known_good.differences} == {"rate", "hidden", "updates"}

    def test_a_run_that_is_not_there(
        self, logged: Callable[..., tuple[str, str]], tmp_path: Path
    ) -> None:
        store, _ = logged()
        with pytest.raises(UsageError, match="--good-run: there is no run 0123 in sqlite"):
            params_of("0123", store, tmp_path)

    def test_a_run_without_parameters(
        self, logged: Callable[..., tuple[str, str]], tmp_path: Path
    ) -> None:
        store, run = logged()
        with pytest.raises(UsageError, match=f"the run {run} has logged no parameters"):
            params_of(run, store, tmp_path)
