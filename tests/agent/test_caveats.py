"""What was not checked is said, and nothing that was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.caveats import not_checked
from agent.diagnosis import Diagnosis

Make = Callable[..., Diagnosis]


def test_a_fix_has_the_limits_of_its_trials(diagnosis: Make) -> None:
    said = " | ".join(not_checked(diagnosis()))
    assert "anything but val_acc" in said
    assert "seeds other than the 2" in said
    assert "the patched script itself" in said
    assert "given up" not in said and "a cure of" not in said


def test_a_patch_that_was_run_is_no_caveat(diagnosis: Make) -> None:
    fix = diagnosis().fix
    assert fix is not None
    run = fix.model_dump() | {"patch_check": {"passed": True, "reason": "it recovers"}}
    assert "patched script" not in " ".join(not_checked(diagnosis(fix=run)))
    failed = run | {"patch": None, "patch_check": {"passed": False, "reason": "it does not"}}
    assert "patch" not in " ".join(not_checked(diagnosis(fix=failed)))
    unwritten = not_checked(diagnosis(fix=fix.model_dump() | {"patch": None}))
    assert any("no patch could be written" in line for line in unwritten)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "healthy", "fix": None}, "faults that no probe is there for"),
        ({"verdict": "unresolved", "fix": None, "tried": []}, "any remedy: no trial was run"),
    ],
)
def test_other_verdicts_have_limits_of_their_own(
    diagnosis: Make, changes: dict[str, object], said: str
) -> None:
    assert any(said in line for line in not_checked(diagnosis(**changes)))


def test_what_trials_left_open_is_told(diagnosis: Make) -> None:
    whole = diagnosis()
    pruned = [tried.model_dump() | {"status": "pruned", "cleared": []} for tried in whole.tried]
    workload = whole.workload.model_dump() | {"prefix": 50}
    said = " | ".join(not_checked(diagnosis(tried=pruned, workload=workload)))
    assert "3 treatments that were given up" in said
    assert "a cure of P101" in said
    assert "anything after step 50" in said
