"""Diagnoses a run by running its script again, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.diagnosis import Diagnosis, read_diagnosis
from agent.errors import InfrastructureError
from agent.text import plain
from agent.triage.recipe import Recipe, Refused
from agent.triage.runs import Run

_ALLOWED = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "PYTHONPATH",
    "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "AGENT_HOME", "RAY_ADDRESS", "SSL_CERT_FILE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}  # fmt: skip
"""What a script sees of our environment; credentials are not among it."""
_USAGE = 2
_LOOK = 0.2
_END = 20.0
_PROCESSES = 4096
_SHORTEST = 600.0


@dataclass(frozen=True)
class Terms:
    """How diagnoses are made.

    Attributes:
        tracking_uri: The store to record in.
        experiment: Where in it.
        python: The interpreter that runs our package and the scripts.
        environment: Names of further variables that a script may see.
        options: Of `agent diagnose`, by their long names without dashes.
        seconds: After which a diagnosis is given up; three trials as long as may be come to that.
    """

    tracking_uri: str
    experiment: str = "agent"
    python: str = sys.executable
    environment: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 3 * 3600.0


def passed_on(names: Sequence[str], ours: Mapping[str, str]) -> dict[str, str]:
    """The part of our environment that a script may see.

    Args:
        names: What the user lets it see in addition.
        ours: Our environment.

    >>> passed_on(["WANDB_MODE"], {"HOME": "/me", "AWS_SECRET_ACCESS_KEY": "x", "WANDB_MODE": "y"})
    {'HOME': '/me', 'WANDB_MODE': 'y'}
    """
    allowed = _ALLOWED | set(names)
    return {k: v for k, v in ours.items() if k in allowed or k.startswith("LC_")}


def enough_time(run: Run) -> float:
    """Seconds in which a run should come to its end again: it is watched, and may be elsewhere."""
    took = (run.ended or run.last_sign) - run.started
    return max(_SHORTEST, 3.0 * took)


def command_line(recipe: Recipe, terms: Terms, asked: Mapping[str, str], target: Path) -> list[str]:
    """The arguments of the process: ours first, then the script and its own.

    Args:
        recipe: What to run.
        terms: How.
        asked: Options of this diagnosis; an empty value is a flag.
        target: File for the diagnosis.
    """
    options = {
        **terms.options,
        **asked,
        "experiment": terms.experiment,
        "json": str(target),
    }
    words = [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]
    start = [terms.python, "-P", "-m", "agent.triage.worker", str(os.getpid()), str(_PROCESSES)]
    return [*start, "diagnose", *words, str(recipe.script), *recipe.arguments]


def diagnose(
    recipe: Recipe, terms: Terms, asked: Mapping[str, str], alive: Callable[[], bool]
) -> Diagnosis | None:
    """Diagnose a run by running it again.

    Args:
        recipe: What to run.
        terms: How.
        asked: Options of this diagnosis.
        alive: Is called again and again while it works; when it says False, the work ends.

    Returns:
        The diagnosis; None where the work was ended.

    Raises:
        Refused: The script cannot be diagnosed, whatever is tried.
        InfrastructureError: Something that we stand on fails.
    """
    with tempfile.TemporaryDirectory(prefix="agent-triage-") as name:
        target, log = Path(name) / "diagnosis.json", Path(name) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command_line(recipe, terms, asked, target),
                cwd=recipe.directory,
                # Not among the arguments: everybody can read those, and it may have a password.
                env=passed_on(terms.environment, os.environ)
                | {"MLFLOW_TRACKING_URI": terms.tracking_uri},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        try:
            longest = float({**terms.options, **asked}.get("timeout", 0.0))
            code = _wait(process, terms.seconds + 3 * longest, alive)
        finally:
            _end(process)
        told = _last_line(log)
        if code is None:
            return None
        if code == _USAGE:
            raise Refused(told)
        if not target.is_file():
            raise InfrastructureError(told or f"the diagnosis ended with code {code}")
        return read_diagnosis(target.read_text(encoding="utf-8"))


def _wait(
    process: subprocess.Popen[bytes], seconds: float, alive: Callable[[], bool]
) -> int | None:
    """The exit code; None where nobody wants it any more."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK)
        if not alive():
            return None
        if time.monotonic() > deadline:
            raise Refused(f"the diagnosis took more than {seconds:.0f} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with all that it started, in order if it can."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return plain(lines[-1].removeprefix("agent: "))[:500] if lines else ""
