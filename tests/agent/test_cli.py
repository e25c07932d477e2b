"""The command line: how it ends, and how little it loads."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli import main
from agent.errors import InfrastructureError, UsageError, WorkloadError

if TYPE_CHECKING:
    from tests.agent.conftest import FakeController

HEAVY = ("torch", "ray", "mlflow", "optuna", "scipy", "pandas", "rich", "numpy")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("unknown metric"), 2),
        (WorkloadError("trains nothing"), 3),
        (InfrastructureError("no Ray"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_line_with_their_exit_code(
    controller: FakeController,
    complaint: Callable[[], str],
    error: BaseException,
    code: int,
) -> None:
    controller.answer = error
    assert main(["diagnose", "train.py"]) == code
    assert complaint() == f"agent: {str(error) or 'interrupted'}"


def test_a_bug_leaves_its_traceback_in_a_file(
    controller: FakeController, complaint: Callable[[], str]
) -> None:
    controller.answer = ZeroDivisionError("oops")
    assert main(["diagnose", "train.py"]) == 4
    line = complaint()
    match = re.fullmatch(r"agent: unexpected ZeroDivisionError: oops \(see (.*)\)", line)
    assert match is not None
    log = Path(match[1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_a_bug_is_shown_at_once_if_verbose(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.answer = ZeroDivisionError("oops")
    assert main(["diagnose", "-v", "train.py"]) == 4
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.splitlines()[-1] == "agent: unexpected ZeroDivisionError: oops (see above)"


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    controller: FakeController, complaint: Callable[[], str]
) -> None:
    assert main(["diagnose", "\x1b[2Jevil\n.py"]) == 2
    assert complaint().startswith("agent: no such file: evil .py")


def test_version_and_bare_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"agent \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main([]) == 2
    assert "Usage: agent" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["diagnose", "--help"], ["list"], ["explain", "P101"], ["--version"]]
)
def test_what_only_tells_something_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom agent.cli import main\n"
        f"main({arguments!r})\nprint('LOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "agent.cli" in loaded
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)


def test_a_usage_error_loads_nothing_heavy_and_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agent", "diagnose", "no-such-file.py"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "agent: no such file: no-such-file.py" in done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "ray", "mlflow", "optuna", "scipy", "pandas"})


def test_the_process_ends_without_a_search_for_garbage() -> None:
    code = """
        import atexit, gc, sys
        atexit.register(lambda: print("frozen:", gc.get_freeze_count() > 0))
        from agent.cli import main
        sys.exit(main())
    """
    run = [sys.executable, "-c", textwrap.dedent(code), "--version"]
    assert "frozen: True" in subprocess.run(run, capture_output=True, text=True).stdout
