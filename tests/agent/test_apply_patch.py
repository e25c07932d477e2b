"""Our patches, applied: the same as git does, but strictly where they belong, or not at all."""

from __future__ import annotations

import difflib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.apply_patch import apply_patch, digest_of, patched_files
from agent.errors import UsageError

BEFORE = "".join(f"line {number}\n" for number in range(1, 31))
Write = Callable[[str, str], Path]


def diff(before: str, after: str, name: str = "train.py") -> str:
    def lines(text: str) -> list[str]:
        return list(io.StringIO(text, newline="\n"))

    made = difflib.unified_diff(lines(before), lines(after), f"a/{name}", f"b/{name}")
    return "".join(x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in made)


CHANGES = {
    "two places": BEFORE.replace("line 3\n", "a\nb\n").replace("line 25\n", ""),
    "the first line": BEFORE.replace("line 1\n", "new\n", 1),
    "a line at the top": "new\n" + BEFORE,
    "the newline at the end": BEFORE[:-1],
    "more at the end": BEFORE + "-- a comment\n--- another\n",
    "no change of what looks like a head": BEFORE.replace("line 9\n", "++ b/x\n"),
    "windows": BEFORE.replace("line 5\n", "line 5\r\n"),
}


@pytest.mark.parametrize("after", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("back", [False, True], ids=["to", "fro"])
def test_the_file_becomes_what_the_diff_was_made_from(after: str, back: bool) -> None:
    before, after = (after, BEFORE) if back else (BEFORE, after)
    patch = diff(before, after)
    assert patched_files(patch, lambda name: before.encode()) == {"train.py": after.encode()}


def test_git_makes_the_same_of_it(project: Path, write: Write) -> None:
    after = CHANGES["two places"]
    write("train.py", BEFORE)
    patch = diff(BEFORE, after)
    subprocess.run(["git", "apply"], input=patch, text=True, cwd=project, check=True)
    assert (project / "train.py").read_text() == after


def test_a_folder_is_changed_and_the_mode_kept(project: Path, write: Write) -> None:
    write("train.py", BEFORE).chmod(0o755)
    patch = diff(BEFORE, CHANGES["two places"])
    digests = {"train.py": digest_of(BEFORE.encode())}
    assert apply_patch(patch, project, digests) == [project / "train.py"]
    assert (project / "train.py").read_text() == CHANGES["two places"]
    assert (project / "train.py").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in project.iterdir()] == ["train.py"]
    with pytest.raises(UsageError, match="has the change already, at line"):
        apply_patch(patch, project, {})


def test_a_file_that_differs_is_left_alone_and_so_are_the_others(
    project: Path, write: Write
) -> None:
    write("a.py", BEFORE)
    write("train.py", "shifted\n" + BEFORE)
    patch = diff(BEFORE, CHANGES["two places"], "a.py") + diff(BEFORE, CHANGES["two places"])
    with pytest.raises(UsageError, match="train.py differs from what was diagnosed, at line 1"):
        apply_patch(patch, project, {})
    assert (project / "a.py").read_text() == BEFORE


def test_a_change_elsewhere_in_the_file_counts_where_its_digest_is_known(
    project: Path, write: Write
) -> None:
    write("train.py", BEFORE.replace("line 14", "line fourteen"))
    patch = diff(BEFORE, CHANGES["two places"])
    with pytest.raises(UsageError, match="train.py has changed since it was diagnosed"):
        apply_patch(patch, project, {"train.py": digest_of(BEFORE.encode())})
    apply_patch(patch, project, {})


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        (diff(BEFORE, CHANGES["two places"]), "run it in the folder that was diagnosed"),
        (diff(BEFORE, CHANGES["two places"], "../train.py"), "outside of the folder"),
        (diff(BEFORE, CHANGES["two places"], "/etc/x"), "outside of the folder|cannot read"),
        ("hello", "no patch"),
        ("--- a/x\n+++ b/x\n", "no patch"),
    ],
)
def test_what_cannot_be_applied_is_said(project: Path, patch: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        apply_patch(patch, project, {})
