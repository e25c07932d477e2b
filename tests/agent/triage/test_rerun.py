"""The process that diagnoses a run: what it gets, what it may, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from agent.errors import InfrastructureError
from agent.triage.recipe import Recipe, Refused
from agent.triage.rerun import Terms, command_line, diagnose

ROOT = Path(__file__).parents[3]
DIAGNOSIS = '{"verdict": "healthy", "workload": {"script": "train.py"}}'


@pytest.fixture
def terms(tmp_path: Path) -> Terms:
    """An interpreter that tells what it was given, and does what is in ``todo``."""
    told = tmp_path / "told.json"
    python = tmp_path / "python"
    python.write_text(
        textwrap.dedent(
            f"""\
            #!{sys.executable}
            import json, os, sys, time
            told = [sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]
            json.dump(told, open({str(told)!r}, "w"))
            target = next(w for w in sys.argv if w.startswith("--json="))[7:]
            exec(open({str(tmp_path / "todo")!r}).read())
            """
        )
    )
    python.chmod(0o755)
    (tmp_path / "todo").write_text(f"open(target, 'w').write({DIAGNOSIS!r})")
    return Terms("postgresql://me:s3cret@db/x", python=str(python), options={"memory": "1000"})


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path / "train.py", tmp_path, ("--json=mine", "$(touch pwned)", "; ls"))


def test_arguments_are_a_list_and_the_environment_is_chosen(
    terms: Terms, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("HF_HOME", "/models")
    found = diagnose(recipe, terms, {"subject": "run-1", "observe": ""}, lambda: True)
    assert found is not None and found.verdict == "healthy"
    words, environment, folder, _ = json.loads((tmp_path / "told.json").read_text())
    assert words[-4:] == [str(recipe.script), *recipe.arguments]
    assert {"--memory=1000", "--subject=run-1", "--observe"} < set(words)
    assert "s3cret" not in " ".join(words)
    assert "AWS_SECRET_ACCESS_KEY" not in environment and "HF_HOME" not in environment
    assert folder == str(tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_the_user_names_what_scripts_may_see_besides(
    terms: Terms, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/models")
    more = Terms(terms.tracking_uri, python=terms.python, environment=("HF_HOME",))
    diagnose(recipe, more, {}, lambda: True)
    assert json.loads((tmp_path / "told.json").read_text())[1]["HF_HOME"] == "/models"


@pytest.mark.parametrize(
    ("todo", "error"),
    [
        ("print('agent: bad\\x1b[31m', file=sys.stderr); sys.exit(2)", Refused),
        ("print('agent: no Ray', file=sys.stderr); sys.exit(4)", InfrastructureError),
        ("sys.exit(0)", InfrastructureError),
        ("os.kill(os.getpid(), 9)", InfrastructureError),
    ],
)  # fmt: skip
def test_how_it_fails(
    terms: Terms, recipe: Recipe, tmp_path: Path, todo: str, error: type[Exception]
) -> None:
    (tmp_path / "todo").write_text(todo)
    with pytest.raises(error) as caught:
        diagnose(recipe, terms, {}, lambda: True)
    assert "\x1b" not in str(caught.value)


def test_it_ends_with_the_lease(terms: Terms, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "todo").write_text("time.sleep(600)")
    told = tmp_path / "told.json"
    assert diagnose(recipe, terms, {}, lambda: not told.exists()) is None
    assert not psutil.pid_exists(json.loads(told.read_text())[3])


def test_it_does_not_take_for_ever(terms: Terms, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "todo").write_text("time.sleep(60)")
    short = Terms(terms.tracking_uri, python=terms.python, seconds=0.5)
    with pytest.raises(Refused, match="took more than"):
        diagnose(recipe, short, {}, lambda: True)


def test_the_worker_has_a_limit_of_processes_and_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from agent.triage.worker import limit_processes\n"
        "limit_processes(100)\n"
        "print(resource.getrlimit(resource.RLIMIT_NPROC)[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert 100 < int(done.stdout) < 100_000
    orphan = [sys.executable, "-P", "-m", "agent.triage.worker", "1", "100", "--help"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(orphan, cwd=tmp_path, env=environment).returncode == 4


def test_our_own_agent_is_run_whatever_lies_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("raise SystemExit('theirs')")
    recipe = Recipe(tmp_path / "train.py", tmp_path, ())
    words = command_line(recipe, Terms("sqlite:///x.db"), {}, tmp_path / "out.json")
    assert words[0] == sys.executable
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    help_of = [*words[: words.index("diagnose") + 1], "--help"]
    done = subprocess.run(help_of, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "Usage: agent diagnose" in done.stdout
