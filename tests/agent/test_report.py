"""The report: everything that a person needs is in it, at every width, whatever names contain."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from agent.diagnosis import Diagnosis
from agent.report import Report, ReportConsole, save_picture, to_text

Make = Callable[..., Diagnosis]


@pytest.fixture
def unresolved(diagnosis: Make) -> Make:
    """Makes a diagnosis that confirmed no fix, with changes."""
    refuted = [tried.model_dump() for tried in diagnosis().tried[1:]]
    kept = {"verdict": "unresolved", "fix": None, "tried": refuted}
    return lambda **changes: diagnosis(**(kept | changes))


def test_a_fixed_run_tells_what_was_wrong_what_was_tried_and_what_fixed_it(diagnosis: Make) -> None:
    text = " ".join(to_text(diagnosis(), width=99).split())
    for said in (
        "FIXED train-eval-divergence: fixed by swap-norm(to=instance) @ net.1",
        "train.py --epochs 10; metric val_acc (max, printed, inferred: see --metric)",
        "P101 train-eval-divergence at convs (train.py:61), severity 0.93, from step 32",
        "train_std 0.742, eval_std 0.0113",
        "0.164 → 0.971, 0.171 → 0.969",
        "within the noise of the control; raises P301",
        "0.165 → none",
        "effect +0.8025, 95% CI 0.77 to 0.84, p = 0.0012",
        "Use nn.InstanceNorm1d in place of net.1.",
        "+new",
        "14 trials, 13.1 times the steps of the untreated run, 1 min 23 s (observe 12 s",
        "mlflow ui --backend-store-uri sqlite:////tmp/a.db",
    ):
        assert said in text


def test_the_verdict_comes_first_and_the_summary_of_the_diagnosis_is_used(diagnosis: Make) -> None:
    text = to_text(diagnosis(summary="The norms were frozen."))
    assert text.splitlines()[0] == "FIXED  The norms were frozen."


def test_what_was_tried_on_a_healthy_run_is_told(diagnosis: Make) -> None:
    shown = to_text(diagnosis(verdict="healthy", symptoms=[], fix=None), width=120)
    assert "What was tried" in shown and "refuted" in shown


def test_a_healthy_run_takes_at_most_three_lines_and_tells_what_is_mild_on_request(
    diagnosis: Make,
) -> None:
    mild = diagnosis().symptoms[0].model_dump() | {"severity": 0.3}
    healthy = diagnosis(verdict="healthy", symptoms=[mild], tried=[], fix=None, mlflow=None)
    assert "mild" not in to_text(healthy, width=120)
    lines = to_text(healthy, width=120, observations=True).splitlines()
    assert lines[0].startswith("HEALTHY")
    assert len(lines) <= 3
    assert "too mild to matter: P101 train-eval-divergence at convs" in lines[-1]


def test_an_unresolved_run_tells_what_to_try_next(unresolved: Make) -> None:
    text = to_text(unresolved(), width=120)
    assert text.startswith("UNRESOLVED  train-eval-divergence: no fix was confirmed")
    assert "agent explain P101" in text
    assert "--try CODE" in text
    assert "What fixed it" not in text
    assert "--observe" not in text


def test_an_observation_says_that_no_remedy_had_a_trial(unresolved: Make) -> None:
    assert "run it without --observe" in to_text(unresolved(tried=[]))


def test_pruned_trials_ask_for_a_larger_budget(diagnosis: Make, unresolved: Make) -> None:
    pruned = diagnosis().tried[0].model_dump() | {"status": "pruned"}
    assert "a larger --budget" in to_text(unresolved(tried=[pruned]))
    assert "a larger --budget" not in to_text(unresolved())


def test_the_comparison_with_a_good_configuration_is_told(diagnosis: Make) -> None:
    found = {
        "args": ["--lr", "0.1"],
        "differences": [
            {"name": "--lr", "bad": "--lr 1", "good": "--lr 0.1"},
            {"name": "--width", "bad": "--width 8", "good": ""},
        ],
        "metric_bad": 0.2,
        "metric_good": 0.9,
        "fix": ["--lr"],
        "cause": ["--lr"],
        "trials": 4,
        "message": "--lr 1 makes it fail",
    }
    text = " ".join(to_text(diagnosis(known_good=found), width=99).split())
    for said in (
        "Which setting it is --lr 1 makes it fail",
        "0.2 as it is, 0.9 with all of 2 settings reverted (4 runs",
        "no part in it: --width",
    ):
        assert said in text
    headed = to_text(diagnosis(known_good=found, summary=found["message"]))
    assert headed.count("--lr 1 makes it fail") == 1


def test_a_failed_run_says_why(diagnosis: Make) -> None:
    failed = diagnosis(verdict="failed", tried=[], fix=None, symptoms=[], error="ValueError:\nno")
    assert to_text(failed).startswith("FAILED  ValueError: no\n")


def test_a_fault_at_many_places_is_not_told_at_length(diagnosis: Make, unresolved: Make) -> None:
    first = diagnosis().symptoms[0].model_dump()
    many = [first | {"where": f"norm{place}", "source": None} for place in range(20)]
    text = " ".join(to_text(unresolved(symptoms=many)).split())
    assert text.count("severity 0.93") == 3
    assert "P101 also at norm3, norm4, " in text
    assert "norm12, and 7 more" in text


def test_a_script_below_the_working_directory_is_named_as_from_there(
    diagnosis: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    workload = diagnosis().workload.model_dump() | {"script": str(tmp_path / "sub" / "train.py")}
    assert to_text(diagnosis(workload=workload)).splitlines()[1].startswith("sub/train.py --epochs")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(
    diagnosis: Make, unresolved: Make, nasty: Diagnosis, width: int
) -> None:
    for shown in (diagnosis(), unresolved(), nasty):
        assert max(map(cell_len, to_text(shown, width=width).splitlines())) <= width


def test_odd_names_reach_neither_the_terminal_nor_its_markup(nasty: Diagnosis) -> None:
    text = to_text(nasty, width=300)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "net[bold]x[/bold]" in text


def test_refuted_treatments_are_dimmed_and_no_color_is_respected(
    unresolved: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(force_terminal=True, color_system="standard", width=120)
    with console.capture() as capture:
        console.print(Report(unresolved()))
    assert re.search(r"\x1b\[2m[^\x1b]*refuted", capture.get())
    assert "\x1b[1;33mUNRESOLVED" in capture.get()
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(force_terminal=True, color_system="standard", width=120)
    with console.capture() as capture:
        console.print(Report(unresolved()))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", capture.get())


def test_a_broken_pipe_does_not_end_the_command() -> None:
    class Closed:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

        def isatty(self) -> bool:
            return False

    console = ReportConsole(Closed())  # type: ignore[arg-type]
    console.print("one")
    console.print("two")


def test_credentials_of_the_store_are_not_shown(diagnosis: Make) -> None:
    store = {"tracking_uri": "https://me:secret@host/x", "experiment_id": "1", "run_id": "abc"}
    text = to_text(diagnosis(mlflow=store))
    assert "secret" not in text
    assert "https://***@host/x/#/experiments/1/runs/abc" in text


def test_the_picture_is_self_contained(diagnosis: Make, tmp_path: Path) -> None:
    save_picture(diagnosis(), tmp_path / "a.svg")
    picture = (tmp_path / "a.svg").read_text()
    assert "FIXED" in picture
    assert "@font-face" not in picture
    assert re.findall(r"https?://[^\"')\s]+", picture) in ([], ["http://www.w3.org/2000/svg"])


def test_mild_symptoms_of_a_sick_run_are_told_on_request(diagnosis: Make) -> None:
    severe = diagnosis().symptoms[0].model_dump()
    both = diagnosis(symptoms=[severe, severe | {"code": "P999", "severity": 0.3}])
    assert "P999" not in to_text(both)
    assert "too mild to matter" in to_text(both, observations=True)
    assert "P999" in to_text(both, observations=True)


def test_a_diagnosis_on_a_prefix_says_so(diagnosis: Make) -> None:
    workload = diagnosis().workload.model_dump() | {"steps": 9000, "prefix": 750}
    text = " ".join(to_text(diagnosis(workload=workload)).split())
    assert "9000 steps" in text and "diagnosed on its first 750 steps" in text


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (True, "The patched script was run: it recovers."),
        (False, "No patch is offered: it recovers."),
    ],
)
def test_what_came_of_running_the_patched_script_is_told(
    diagnosis: Make, passed: bool, said: str
) -> None:
    fix = diagnosis().fix
    assert fix is not None
    check = {"passed": passed, "reason": "it recovers"}
    assert said in to_text(diagnosis(fix=fix.model_dump() | {"patch_check": check}))
