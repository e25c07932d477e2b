"""What is to be pasted by hand, and what a patch says of itself: terminal, Markdown, JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from agent.diagnosis import Diagnosis, Pasted, PatchCheck, read_diagnosis
from agent.markdown import to_markdown
from agent.report import to_text

Make = Callable[..., Diagnosis]
CODE = "net.register_hook(  # ``` <b>bold</b> \x1b[31m\n    lambda g: 2 * g\n)\n"
HELPER = Pasted(place="train.py:41", behind="makes the model", code=CODE)


def changed(diagnosis: Make, **fix: Any) -> Diagnosis:
    whole = diagnosis()
    assert whole.fix is not None
    return diagnosis(fix=whole.fix.model_dump() | fix)


def test_the_terminal_shows_the_lines_and_their_place(diagnosis: Make) -> None:
    text = to_text(changed(diagnosis, patch=None, helpers=[HELPER]), width=110)
    assert "To paste behind train.py:41, the line that makes the model (not run from" in text
    assert "    net.register_hook(  # ``` <b>bold</b>  [31m\n        lambda g: 2 * g\n    )" in text
    assert "\x1b" not in text


def test_markdown_fences_the_lines(diagnosis: Make) -> None:
    text = to_markdown(changed(diagnosis, patch=None, helpers=[HELPER]))
    assert "To paste behind train.py:41" in text
    assert f"````python\n{CODE.rstrip()}\n````" in text
    assert "no patch could be written, there are lines to paste" in text


def test_with_a_patch_nothing_is_to_be_pasted_and_it_says_what_it_is(diagnosis: Make) -> None:
    check = PatchCheck(passed=True, reason="it recovers")
    whole = changed(
        diagnosis, helpers=[HELPER], pasted=True, patch_folder="/jobs", patch_check=check
    )
    text = " ".join(to_text(whole, width=110).split())
    assert "To paste" not in text
    assert "The patch pastes a helper" in text and "The patch belongs to /jobs." in text
    assert "agent apply" in to_markdown(whole) and "in /jobs" in to_markdown(whole)


def test_it_is_stored_with_the_diagnosis_and_older_ones_are_read(diagnosis: Make) -> None:
    whole = changed(diagnosis, patch=None, helpers=[HELPER], pasted=True, patch_folder="/jobs")
    again = read_diagnosis(whole.model_dump_json())
    assert again.fix == whole.fix
    older = re.sub(
        r',"(patch_folder|pasted|helpers)":("[^"]*"|true|\[[^]]*\])', "", whole.model_dump_json()
    )
    fix = read_diagnosis(older).fix
    assert fix is not None and (fix.patch_folder, fix.pasted, fix.helpers) == ("", False, ())
