"""How a run can be started again, if at all.

What a store says is not trusted: whoever may write tags could name any program. Only a script
below the root is run, wherever symbolic links lead, by our interpreter, with its arguments as a
list; and only if its code still is what it was.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.archives import extract, leads_out
from agent.recorder.facts import code_state, git
from agent.redact import HIDDEN
from agent.rooted import NotThere, Outside, resolve_below
from agent.triage.runs import Run

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Refused(Exception):
    """A run cannot be started again; says why in one line."""


@dataclass(frozen=True)
class Recipe:
    """A script that can be run as a run was.

    Attributes:
        script: Its path, without symbolic links.
        directory: The working directory, likewise.
        arguments: What it gets.
        commit: The commit to check out first; empty where the files are as they were.
    """

    script: Path
    directory: Path
    arguments: tuple[str, ...]
    commit: str = ""


def find_recipe(run: Run, root: Path) -> Recipe:
    """How a run can be started again.

    Args:
        run: The run.
        root: The folder below which scripts may be run.

    Raises:
        Refused: It cannot.
    """
    if not run.noted("schema"):
        raise Refused("it was started without our package: nothing says how")
    if run.noted("module"):
        raise Refused(f"it was started as a module: python -m {run.noted('module')}")
    if run.noted("processes") not in ("", "1"):
        raise Refused("it ran in several processes at once, by a launcher such as torchrun")
    if "mlflow.parentRunId" in run.tags:
        raise Refused("it is one of several runs of one script")
    arguments = run.arguments
    if arguments is None:
        raise Refused("its arguments were not noted")
    if any(HIDDEN in word for word in arguments):
        raise Refused("its arguments had a secret, which was not noted")
    if any("\0" in word for word in arguments):
        raise Refused("its arguments are none")
    script = _below(root, run.noted("script"), "script")
    directory = _below(root, run.noted("cwd"), "working directory")
    if not script.is_file() or script.suffix != ".py":
        raise Refused(f"its script is no Python file: {script}")
    if not directory.is_dir():
        raise Refused(f"its working directory is no folder: {directory}")
    return Recipe(script, directory, arguments, _differing_commit(run, script))


def _below(root: Path, text: str, what: str) -> Path:
    """The real path of a file below the root."""
    path = Path(text)
    if not path.is_absolute():
        raise Refused(f"its {what} was not noted")
    try:
        return resolve_below(root, path)
    except NotThere as error:
        raise Refused(f"its {what} is gone: {text}") from error
    except Outside as error:
        raise Refused(f"its {what} is not below {root.resolve()} (--root)") from error


def _differing_commit(run: Run, script: Path) -> str:
    """The commit to check out; empty where the files are as they were."""
    state = code_state(str(script))
    names = ("source", "commit", "changes")
    if all(run.noted(name) == state.get(name, "") for name in names):
        return ""
    commit = run.noted("commit")
    if not commit:
        raise Refused("its script has been changed since, and is under no version control")
    if run.noted("dirty") != "false":
        raise Refused("it ran with changes that were not committed and are no more")
    if not _COMMIT.fullmatch(commit):
        raise Refused(f"its commit is none: {commit}")
    if git(str(script.parent), "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise Refused(f"its commit {commit[:12]} is not in the repository")
    return commit


@contextmanager
def laid_out(recipe: Recipe, root: Path) -> Iterator[Recipe]:
    """The recipe with its files in place: the commit in a scratch folder, where it needs one.

    No work tree is added to the repository, so none of its hooks runs and nothing is left in it.

    Raises:
        Refused: The commit does not have the script.
    """
    if not recipe.commit:
        yield recipe
        return
    top = Path((git(str(recipe.script.parent), "rev-parse", "--show-toplevel") or "").rstrip("\n"))
    base = max(top.resolve(), root.resolve(), key=lambda path: len(path.parts))
    with tempfile.TemporaryDirectory(prefix="agent-triage-") as name:
        scratch = Path(name).resolve()
        _extract(base, recipe.commit, scratch)
        moved = Recipe(
            scratch / recipe.script.relative_to(base),
            scratch / recipe.directory.relative_to(base),
            recipe.arguments,
            recipe.commit,
        )
        if not moved.script.resolve().is_relative_to(scratch) or not moved.script.is_file():
            raise Refused(f"its script is not in commit {recipe.commit[:12]}")
        moved.directory.mkdir(parents=True, exist_ok=True)
        yield moved


def _extract(folder: Path, commit: str, target: Path) -> None:
    command = ["git", "-C", str(folder), "archive", "--format=tar", commit]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Refused(f"its commit {commit[:12]} cannot be checked out")
    try:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            extract(archive, target)
    except (OSError, tarfile.TarError) as error:
        raise Refused(f"its commit {commit[:12]} cannot be checked out: {error}") from error
    if link := leads_out(target):
        raise Refused(f"its commit {commit[:12]} has a link that leads out of it: {link}")
