"""What is done for a job: a diagnosis by the controller, or a sweep of `agent triage`."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import subprocess
import sys
from collections.abc import Sequence

from agent.answer import to_json
from agent.diagnosis import Diagnosis
from agent.errors import AgentError, InfrastructureError, UsageError, first_line
from agent.redact import find_secrets, hide
from agent.request import Request
from agent.service.asked import request_of
from agent.service.attempts import Claim, Ended
from agent.service.models import Submission
from agent.service.record import Notes
from agent.service.settings import Bounds
from agent.store import home
from agent.text import plain

_PROCESSES = 4096
_END = 30.0
_IDLE = 60.0
_SWEEP = 24 * 3600.0
_log = logging.getLogger("agent.service.work")


class Again(Exception):
    """Something that we stand on failed: the job may go well another time. Says what."""


class Work:
    """Does what jobs ask for.

    Args:
        bounds: What a job may use; paths and stores.
        address: Ray.
        triage: Options of `agent triage`.
        environment: Names of variables that scripts may see.
    """

    def __init__(
        self,
        bounds: Bounds,
        address: str,
        triage: tuple[str, ...] = (),
        environment: tuple[str, ...] = (),
    ) -> None:
        self._bounds = bounds
        self._address = address
        self._triage = triage
        self._environment = environment
        self._keeps = False

    def prepare(self) -> None:
        """Load what every diagnosis needs, which takes seconds."""
        import agent.controller  # noqa: F401
        from agent.ledger.archive import Archive

        Archive(self._bounds.tracking_uri, home())

    def rest(self, seconds: float) -> None:
        """Take up no room in Ray when there has been nothing to do for so long."""
        if seconds > _IDLE and self._keeps:
            from agent.hosts import end_spare_hosts

            end_spare_hosts()
            self._keeps = False

    def seconds(self, claim: Claim) -> float:
        """After which a job has hung."""
        if claim.kind == "triage":
            return _SWEEP
        asked = Submission.model_validate_json(claim.body)
        # Three trials as long as may be are allowed for, as in triage.
        return 2 * asked.time_budget + 3 * asked.limits.timeout

    def do(self, claim: Claim, notes: Notes) -> Ended:
        """Work on a job to its end.

        Args:
            claim: The job.
            notes: Takes what happens.

        Raises:
            Again: It may go well another time.
            KeyboardInterrupt: It was interrupted.
        """
        try:
            return self._sweep(notes) if claim.kind == "triage" else self._diagnose(claim, notes)
        except InfrastructureError as error:
            raise Again(plain(error)) from error
        except AgentError as error:
            return Ended("failed", {"error": plain(error)})
        except Exception as error:
            _log.exception("job %s", claim.id)
            told = f"unexpected {type(error).__name__}: {plain(first_line(error))}"
            return Ended("failed", {"error": told})

    def _diagnose(self, claim: Claim, notes: Notes) -> Ended:
        asked = Submission.model_validate_json(claim.body)
        request = request_of(asked, self._bounds)
        request = request.model_copy(update={"address": self._address, "job": claim.id})
        diagnosis = self._recorded(request) if claim.again else None
        if isinstance(diagnosis, str):
            notes.say(f"goes on with run {diagnosis}")
            request = request.model_copy(update={"resume": diagnosis})
            diagnosis = None
        if diagnosis is None:
            from agent.controller import diagnose

            self._keeps = True
            with notes.listening(asked.script, asked.budget) as listener:
                diagnosis = diagnose(request, listener)
        return self._ended(diagnosis, find_secrets([*asked.args, *(asked.good or ())]))

    def _recorded(self, request: Request) -> Diagnosis | str | None:
        """What an earlier attempt left: its diagnosis, or the run of one that broke off."""
        from agent.ledger.archive import Archive
        from agent.ledger.lookup import run_of_job

        where = request.tracking_uri, home()
        run_id = run_of_job(str(request.job), request.experiment, *where)
        if run_id is None:
            return None
        try:
            return Archive(*where).diagnosis(run_id)
        except UsageError:
            return run_id

    def _ended(self, diagnosis: Diagnosis, secrets: Sequence[str]) -> Ended:
        # Who submitted them may not be the only one who reads it.
        results = {"diagnosis": hide(to_json(diagnosis), secrets).encode()}
        if diagnosis.fix is not None and diagnosis.fix.patch:
            results["patch"] = diagnosis.fix.patch.encode("utf-8", "backslashreplace")
        columns = {"verdict": diagnosis.verdict, "summary": plain(diagnosis.summary)}
        if diagnosis.error:
            columns["error"] = plain(diagnosis.error)
        if diagnosis.mlflow is not None:
            columns["run_id"] = diagnosis.mlflow.run_id
            from agent.ledger.lookup import page_of

            page = page_of(diagnosis.mlflow.run_id, self._bounds.tracking_uri, home())
            if page is not None:
                results["report"] = page.encode()
        return Ended("done", columns, results)

    def _sweep(self, notes: Notes) -> Ended:
        """Run `agent triage --once`, which has its own ways to share a store and to be ended."""
        self.rest(math.inf)  # The sweep has a share of Ray like any other job: this one's.
        slots = str(max(1, self._bounds.cpus))
        words = [f"--root={self._bounds.root}", f"--address={self._address}", f"--slots={slots}"]
        words += [f"--record-in={self._bounds.experiment}"]
        words += [f"--env={name}" for name in self._environment]
        start = [sys.executable, "-P", "-m", "agent.triage.worker", str(os.getpid())]
        command = [*start, str(_PROCESSES), "triage", "--once", *words, *self._triage]
        uri = self._bounds.tracking_uri
        process = subprocess.Popen(
            command,
            cwd=self._bounds.root,
            env=os.environ | ({"MLFLOW_TRACKING_URI": uri} if uri else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        last = ""
        try:
            for line in process.stdout or ():
                if told := plain(line.removeprefix("agent: ")):
                    last = told
                    notes.say(line)
            code = process.wait()
        finally:
            _end(process)
        if code in (0, 1):
            return Ended("done", {"summary": last})
        return Ended("failed", {"error": last or f"triage ended with code {code}"})


def _end(process: subprocess.Popen[str]) -> None:
    for end in (process.terminate, process.kill):
        if process.poll() is not None:
            return
        end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)
