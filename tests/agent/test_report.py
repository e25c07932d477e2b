"""The report: everything that a person needs is in it, at every width, whatever names contain."""

import math
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from agent.diagnosis import Diagnosis
from agent.report import (
    Report,
    ReportConsole,
    duration,
    escape,
    number,
    plain,
    save_picture,
    to_markdown,
    to_text,
)

NASTY = "net[bold]x[/bold]\x1b[31m|<b>*_`\u202e\n# h"


def action(name: str = "swap-norm", target: str = "net.1", **params: object) -> dict[str, object]:
    return {"remedy": "R101", "name": name, "target": target, "params": params}


def diagnosis(**changes: object) -> Diagnosis:
    swap = [action(to="instance")]
    found = {
        "verdict": "fixed",
        "workload": {
            "script": "train.py",
            "args": ["--epochs", "10"],
            "metric": {"name": "val_acc", "mode": "max", "source": "printed", "inferred": True},
            "steps": 320,
            "seconds": 12.4,
        },
        "symptoms": [
            {
                "code": "P101",
                "name": "train-eval-divergence",
                "severity": 0.93,
                "where": "convs",
                "source": "train.py:61",
                "step": 32,
                "evidence": {"train_std": 0.742, "eval_std": 0.0113},
                "message": "the output of convs differs between training and evaluation",
            }
        ],
        "tried": [
            {
                "treatment": swap,
                "status": "confirmed",
                "metric": {1: 0.971, 2: 0.969},
                "control": {1: 0.164, 2: 0.171},
                "cleared": ["P101"],
                "reason": "better in every pair",
            },
            {
                "treatment": [action("inject-noise", strength=0.2)],
                "status": "refuted",
                "metric": {0: 0.166},
                "control": {0: 0.165},
                "raised": ["P301"],
                "reason": "within the noise of the control",
            },
            {
                "treatment": [action("scale-learning-rate", target="", factor=10.0)],
                "status": "failed",
                "metric": {0: -1e12},
                "control": {0: 0.165},
                "reason": "raised RuntimeError",
            },
        ],
        "fix": {
            "treatment": swap,
            "metric_before": {1: 0.164, 2: 0.171},
            "metric_after": {1: 0.971, 2: 0.969},
            "effect": 0.8025,
            "ci": [0.77, 0.84],
            "p_value": 0.0012,
            "noise": 0.0049,
            "advice": "Use nn.InstanceNorm1d in place of net.1.",
            "patch": "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-old\n+new\n",
        },
        "cost": {
            "trials": 14,
            "steps": 4200,
            "baseline_equivalents": 13.1,
            "wall_s": 83.0,
            "parts": {"observe": 12.5, "search": 70.0},
        },
        "mlflow": {"tracking_uri": "sqlite:////tmp/a.db", "experiment_id": "1", "run_id": "abc"},
    }
    return Diagnosis.model_validate(found | changes)


def unresolved(**changes: object) -> Diagnosis:
    refuted = [tried.model_dump() for tried in diagnosis().tried[1:]]
    return diagnosis(**({"verdict": "unresolved", "fix": None, "tried": refuted} | changes))


def nasty() -> Diagnosis:
    whole = diagnosis()
    evil = [action(NASTY, NASTY, **{"to": NASTY})]
    return diagnosis(
        summary=NASTY,
        workload=whole.workload.model_dump() | {"script": NASTY, "args": [NASTY]},
        symptoms=[whole.symptoms[0].model_dump() | {"where": NASTY, "message": NASTY}],
        tried=[whole.tried[0].model_dump() | {"treatment": evil, "reason": NASTY}],
        fix=whole.fix.model_dump() | {"treatment": evil, "advice": NASTY, "patch": NASTY + "```"},
        mlflow={"tracking_uri": NASTY, "experiment_id": NASTY, "run_id": NASTY},
    )


def test_a_fixed_run_tells_what_was_wrong_what_was_tried_and_what_fixed_it() -> None:
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


def test_the_verdict_comes_first_and_the_summary_of_the_diagnosis_is_used() -> None:
    text = to_text(diagnosis(summary="The norms were frozen."))
    assert text.splitlines()[0] == "FIXED  The norms were frozen."


def test_a_healthy_run_takes_at_most_three_lines_and_mentions_what_is_mild() -> None:
    mild = diagnosis().symptoms[0].model_dump() | {"severity": 0.3}
    healthy = diagnosis(verdict="healthy", symptoms=[mild], tried=[], fix=None, mlflow=None)
    lines = to_text(healthy, width=120).splitlines()
    assert lines[0].startswith("HEALTHY")
    assert len(lines) <= 3
    assert "too mild to matter: P101 train-eval-divergence at convs" in lines[-1]


def test_an_unresolved_run_tells_what_to_try_next() -> None:
    text = to_text(unresolved(), width=120)
    assert text.startswith("UNRESOLVED  train-eval-divergence: no fix was confirmed")
    assert "agent explain P101" in text
    assert "--try CODE" in text
    assert "What fixed it" not in text
    assert "--observe" not in text


def test_an_observation_says_that_no_remedy_had_a_trial() -> None:
    assert "run it without --observe" in to_text(unresolved(tried=[]))


def test_pruned_trials_ask_for_a_larger_budget() -> None:
    pruned = diagnosis().tried[0].model_dump() | {"status": "pruned"}
    assert "a larger --budget" in to_text(unresolved(tried=[pruned]))
    assert "a larger --budget" not in to_text(unresolved())


def test_a_failed_run_says_why() -> None:
    failed = diagnosis(verdict="failed", tried=[], fix=None, symptoms=[], error="ValueError:\nno")
    assert to_text(failed).startswith("FAILED  ValueError: no\n")


def test_a_fault_at_many_places_is_not_told_at_length() -> None:
    first = diagnosis().symptoms[0].model_dump()
    many = [first | {"where": f"norm{place}", "source": None} for place in range(20)]
    text = " ".join(to_text(unresolved(symptoms=many)).split())
    assert text.count("severity 0.93") == 3
    assert "P101 also at norm3, norm4, " in text
    assert "norm12, and 7 more" in text


def test_a_script_below_the_working_directory_is_named_as_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    workload = diagnosis().workload.model_dump() | {"script": str(tmp_path / "sub" / "train.py")}
    assert to_text(diagnosis(workload=workload)).splitlines()[1].startswith("sub/train.py --epochs")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("make", [diagnosis, unresolved, nasty])
def test_no_line_is_wider_than_the_terminal(make: object, width: int) -> None:
    lines = to_text(make(), width=width).splitlines()  # type: ignore[operator]
    assert max(map(cell_len, lines)) <= width


def test_odd_names_reach_neither_the_terminal_nor_its_markup() -> None:
    text = to_text(nasty(), width=300)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "net[bold]x[/bold]" in text


def test_refuted_treatments_are_dimmed_and_no_color_is_respected(
    monkeypatch: pytest.MonkeyPatch,
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


def test_markdown_puts_the_verdict_first_and_shows_all_numbers() -> None:
    text = to_markdown(diagnosis())
    assert text.startswith("**FIXED**: train-eval-divergence")
    for said in ("| 1 | 0.164 | 0.971 |", "| refuted | inject-noise", "```diff\n---", "13.1 times"):
        assert said in text


def test_markdown_escapes_what_a_script_provides() -> None:
    text = to_markdown(nasty())
    before_patch, patch = text.split("### Patch")
    verdict, rest = before_patch.split("\n", 1)
    assert verdict.startswith("**FIXED**: net\\[bold\\]x")
    unescaped = re.sub(r"\\[^\n]", "", rest)
    assert not re.search(r"[*_`<>\[\]&]", unescaped)
    tables = [line.count("|") for line in unescaped.splitlines() if "|" in line]
    assert tables == [6, 6, 6, 4, 4, 4, 4, 5, 5, 5]
    assert patch.strip().startswith("````diff")
    assert patch.strip().endswith("````")


def test_markdown_fits_the_field_of_mlflow() -> None:
    tried = [diagnosis().tried[1].model_dump() | {"reason": "x" * 5000}] * 200
    whole = diagnosis(tried=tried, summary="y" * 9000)
    text = to_markdown(whole)
    assert len(text) <= 8000
    assert "What fixed it" in text
    assert len(to_markdown(whole, limit=50)) <= 50


def test_credentials_of_the_store_are_not_shown() -> None:
    store = {"tracking_uri": "https://me:secret@host/x", "experiment_id": "1", "run_id": "abc"}
    text = to_text(diagnosis(mlflow=store))
    assert "secret" not in text
    assert "https://***@host/x/#/experiments/1/runs/abc" in text


def test_the_picture_is_self_contained(tmp_path: Path) -> None:
    save_picture(diagnosis(), tmp_path / "a.svg")
    picture = (tmp_path / "a.svg").read_text()
    assert "FIXED" in picture
    assert "@font-face" not in picture
    assert re.findall(r"https?://[^\"')\s]+", picture) in ([], ["http://www.w3.org/2000/svg"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.15, "0.15"),
        (math.nan, "none"),
        (math.inf, "inf"),
        (1e12, "none"),
        (12345.678, "1.235e+04"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_text_helpers() -> None:
    assert plain("\x1b]0;title\x07a\tb\r\nc\x9b31m\ud800") == "a b c 31m"
    assert escape("x" * 400) == "x" * 299 + "…"
    assert duration(59.7) == "1 min 0 s"
