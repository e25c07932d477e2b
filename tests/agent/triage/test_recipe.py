"""What of a run may be started again. Whoever can write tags must not be able to run things."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.triage.recipe import Refused, find_recipe, laid_out
from agent.triage.rerun import Terms, command_line
from agent.triage.runs import Run

Noted = Callable[..., dict[str, str]]
Write = Callable[[str, str], Path]


def run_with(tags: dict[str, str]) -> Run:
    return Run("1", "a run", "0", "FAILED", 0.0, tags=tags)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_as_it_was(project: Path, write: Write, noted: Noted) -> None:
    script = write("train.py", "print(1)")
    recipe = find_recipe(run_with(noted(script, "--lr", "0.1", "; rm -rf /")), project)
    assert recipe.script == script and recipe.directory == project
    assert recipe.arguments == ("--lr", "0.1", "; rm -rf /")
    assert not recipe.commit


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": ""}, "started without our package"),
        ({"module": "pkg.train"}, "started as a module"),
        ({"processes": "4"}, "several processes"),
        ({"argv": '["--api-key", "***"]'}, "had a secret"),
        ({"argv": "--lr 0.1"}, "arguments were not noted"),
        ({"argv": '{"a": 1}'}, "arguments were not noted"),
        ({"argv": 4000 * "["}, "arguments were not noted"),
        ({"argv": '["a\\u0000b"]'}, "arguments are none"),
        ({"script": "train.py"}, "script was not noted"),
        ({"script": "/nowhere/train.py"}, "script is gone"),
        ({"script": "/usr/bin/env"}, "script is not below"),
        ({"cwd": "/"}, "working directory is not below"),
        ({"source": "0" * 32}, "has been changed since"),
        ({"source": "0" * 32, "commit": "--output=x", "dirty": "false"}, "commit is none"),
        ({"source": "0" * 32, "commit": "0" * 40, "dirty": "true"}, "not committed"),
        ({"source": "0" * 32, "commit": "0" * 40, "dirty": "false"}, "not in the repository"),
    ],
)
def test_refused(
    project: Path, write: Write, noted: Noted, changes: dict[str, str], reason: str
) -> None:
    script = write("train.py", "print(1)")
    with pytest.raises(Refused, match=reason):
        find_recipe(run_with(noted(script) | noted(script, **changes)), project)


@pytest.mark.parametrize("ours", [{}, {"python": "/opt/venv/bin/python"}])
def test_the_interpreter_is_ours_or_the_users(
    project: Path, write: Write, noted: Noted, ours: dict[str, str]
) -> None:
    """Never the one that the run was recorded with, which is whatever its tag says."""
    tags = noted(write("train.py", "print(1)"), python="/tmp/evil", interpreter="/tmp/evil")
    recipe = find_recipe(run_with(tags), project)
    words = command_line(recipe, Terms("http://x", **ours), {}, project / "told.json")
    assert words[:4] == [ours.get("python", sys.executable), "-P", "-m", "agent.triage.worker"]
    assert not any("evil" in word for word in words)


def test_one_of_several_runs_is_refused(project: Path, write: Write, noted: Noted) -> None:
    tags = noted(write("train.py", "print(1)")) | {"mlflow.parentRunId": "2"}
    with pytest.raises(Refused, match="one of several"):
        find_recipe(run_with(tags), project)


def test_no_link_leads_out_of_the_root(project: Path, write: Write, noted: Noted) -> None:
    outside = write("../outside/evil.py", "print(1)").resolve()
    link = project / "train.py"
    link.symlink_to(outside)
    folder = project / "folder"
    folder.symlink_to(outside.parent)
    for script in (link, folder / "evil.py", project / ".." / "outside" / "evil.py"):
        with pytest.raises(Refused, match="not below"):
            find_recipe(run_with(noted(outside, script=str(script))), project)


def test_a_root_that_is_a_link_is_the_folder_it_leads_to(
    project: Path, write: Write, noted: Noted
) -> None:
    script = write("train.py", "print(1)")
    link = project.with_name("link")
    link.symlink_to(project)
    assert find_recipe(run_with(noted(link / "train.py")), link).script == script


def test_another_commit_is_laid_out_beside(project: Path, write: Write, noted: Noted) -> None:
    script = write("src/train.py", "print('old')")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "old")
    tags = noted(script)
    write("src/train.py", "print('new')")
    git(project, "commit", "-qam", "new")
    write(".git/hooks/post-checkout", "#!/bin/sh\ntouch hooked").chmod(0o755)

    recipe = find_recipe(run_with(tags), project)
    assert recipe.commit == tags["agent.run.commit"]
    with laid_out(recipe, project) as there:
        assert there.script.read_text() == "print('old')"
        assert not there.script.is_relative_to(project)
    assert not there.script.exists()
    assert script.read_text() == "print('new')"
    assert git(project, "worktree", "list").count("\n") == 1
    assert not list(project.rglob("hooked"))


def test_changes_that_were_committed_with_nothing_else_are_found_again(
    project: Path, write: Write, noted: Noted
) -> None:
    script = write("train.py", "print('old')")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "old")
    write("train.py", "print('tried')")
    tags = noted(script)
    assert not find_recipe(run_with(tags), project).commit
    write("train.py", "print('something else')")
    with pytest.raises(Refused, match="not committed"):
        find_recipe(run_with(tags), project)


@pytest.mark.parametrize("way", ["{outside}", "../outside/evil.py", "here/../outside/evil.py"])
def test_a_commit_with_a_link_that_leads_out_is_refused(
    project: Path, write: Write, noted: Noted, way: str
) -> None:
    outside = write("../outside/evil.py", "print('evil')")
    script = write("train.py", "print('old')")
    git(project, "init", "-q")
    (project / "here").symlink_to(".")  # By name, a folder; "here/.." leads out all the same.
    (project / "other.py").symlink_to(way.format(outside=outside))
    git(project, "add", ".")
    git(project, "commit", "-qm", "a link")
    commit = git(project, "rev-parse", "HEAD").strip()
    write("train.py", "print('new')")
    tags = noted(script, source="0", commit=commit, dirty="false", changes="")
    recipe = find_recipe(run_with(tags), project)
    with pytest.raises(Refused, match="a link that leads out"), laid_out(recipe, project):
        pass
