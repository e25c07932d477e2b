"""The answer: on the terminal, as JSON, as a patch, as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli import main
from agent.diagnosis import Diagnosis, Fix, WorkloadSummary
from probes.symptom import Symptom
from remedies.treatment import Action

if TYPE_CHECKING:
    from tests.agent.conftest import FakeController

SWAP = (Action(remedy="R101", name="swap-norm", target="net.1"),)
PATCH = "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-old\n+new\n"


def a_fix(patch: str | None = PATCH) -> Fix:
    return Fix(
        treatment=SWAP,
        metric_before={1: 0.1},
        metric_after={1: 0.9},
        effect=0.8,
        ci=(0.7, 0.9),
        p_value=0.01,
        patch=patch,
    )


@pytest.mark.parametrize(
    ("verdict", "code"), [("healthy", 0), ("fixed", 1), ("unresolved", 1), ("failed", 3)]
)
def test_exit_code_of_each_verdict(controller: FakeController, verdict: str, code: int) -> None:
    controller.will_answer(verdict, fix=a_fix() if verdict == "fixed" else None)
    assert main(["diagnose", "train.py"]) == code


def test_a_failed_script_is_one_clear_line(
    controller: FakeController, complaint: Callable[[], str]
) -> None:
    controller.will_answer("failed", error="ValueError: no\ndata (train.py:3)")
    assert main(["diagnose", "train.py"]) == 3
    assert complaint() == "agent: ValueError: no data (train.py:3)"


def test_progress_goes_to_stderr_and_the_answer_to_stdout(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["diagnose", "train.py"])
    captured = capsys.readouterr()
    assert captured.out.startswith("HEALTHY")
    assert " \n" not in captured.out
    assert "observe" in captured.err and "HEALTHY" not in captured.err


def test_json_file_and_patch_file(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.will_answer("fixed", fix=a_fix())
    assert main(["diagnose", "--json", "out.json", "--patch", "fix.diff", "train.py"]) == 1
    assert Diagnosis.model_validate_json(Path("out.json").read_text()) == controller.answer
    assert Path("fix.diff").read_text() == PATCH
    assert capsys.readouterr().out.startswith("FIXED")


@pytest.mark.parametrize("fix", [None, a_fix(patch=None)])
def test_no_patch_is_said(
    controller: FakeController, capsys: pytest.CaptureFixture[str], fix: Fix | None
) -> None:
    controller.will_answer("fixed" if fix else "healthy", fix=fix)
    main(["diagnose", "--patch", "fix.diff", "train.py"])
    assert "agent: there is no patch to write to fix.diff" in capsys.readouterr().err
    assert not Path("fix.diff").exists()


def test_svg_file(controller: FakeController) -> None:
    assert main(["diagnose", "--svg", "picture.svg", "train.py"]) == 0
    assert "HEALTHY" in Path("picture.svg").read_text()


def test_json_of_odd_names_and_numbers(controller: FakeController) -> None:
    odd = WorkloadSummary(script="caf\udce9.py")
    fault = Symptom(
        code="P301", name="x", severity=1, where="", message="", evidence={"n": math.inf}
    )
    controller.will_answer(workload=odd, symptoms=(fault,))
    assert main(["diagnose", "--json", "out.json", "train.py"]) == 0
    text = Path("out.json").read_text()
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["symptoms"][0]["evidence"] == {"n": None}
