"""Tells somebody of a finished diagnosis: a command that gets JSON, or an address that takes it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence

from agent.errors import UsageError
from agent.triage.findings import Finding
from agent.triage.rerun import passed_on

_SECONDS = 30.0


class Notifier:
    """Sends findings.

    Args:
        target: A command with its arguments, or a URL with http or https.
        environment: Names of variables that the command may see besides the usual ones.

    Raises:
        UsageError: It is neither.
    """

    def __init__(self, target: str, environment: Sequence[str] = ()) -> None:
        self._url = target if target.lower().startswith(("http://", "https://")) else None
        self._environment = environment
        self._command: list[str] = []
        if self._url is None:
            try:
                self._command = shlex.split(target)
            except ValueError as error:
                raise UsageError(f"--notify {target!r} cannot be read: {error}") from error
            if not self._command or shutil.which(self._command[0]) is None:
                raise UsageError(f"--notify: no such command: {target!r}; a URL has http:// first")

    def send(self, finding: Finding) -> str:
        """Tell of a finding; says in one line what went wrong, or nothing."""
        data = json.dumps(payload(finding)).encode()
        try:
            if self._url is not None:
                headers = {"Content-Type": "application/json"}
                request = urllib.request.Request(self._url, data, headers, method="POST")
                urllib.request.urlopen(request, timeout=_SECONDS).close()
            else:
                # A list, never a shell: nothing that a run is called can become a command.
                subprocess.run(
                    self._command,
                    input=data,
                    env=passed_on(self._environment, os.environ),
                    timeout=_SECONDS,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
        except (OSError, subprocess.SubprocessError) as error:
            return f"--notify failed: {error}"
        return ""


def payload(finding: Finding) -> dict[str, str]:
    """What is sent: flat, every value a string."""
    run = finding.case.run
    return {
        "run_id": run.run_id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "kind": finding.case.kind,
        "reason": finding.case.reason,
        "verdict": finding.verdict,
        "summary": finding.summary,
        "basis": finding.basis,
        "diagnosis_run_id": finding.diagnosis,
    }
