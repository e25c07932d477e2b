"""Works on one case: takes its lease, runs it again, and writes down what came of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.diagnosis import Diagnosis
from agent.errors import InfrastructureError
from agent.ledger.records import MAX_TAG
from agent.markdown import escape
from agent.recorder.provider import PREFIX
from agent.triage.findings import Finding, from_metrics, note_with, summarise
from agent.triage.lease import Lease, take
from agent.triage.packages import changed_packages
from agent.triage.recipe import Recipe, Refused, find_recipe, laid_out
from agent.triage.rerun import Terms, diagnose, enough_time
from agent.triage.runs import ATTEMPTS, BASIS, DIAGNOSIS, LEASE, NOTE, SUBJECT, VERDICT, Case, Run
from agent.triage.tracking import Tracking

_LEASE = 120.0  # seconds
_RENEW = _LEASE / 4
_MOST_ATTEMPTS = 3
_SICK = ("not-finite", "collapsed", "behind", "where")


@dataclass(frozen=True)
class Desk:
    """Where and how cases are worked on.

    Attributes:
        tracking: The store.
        terms: How diagnoses are made.
        root: The folder below which scripts may be run.
    """

    tracking: Tracking
    terms: Terms
    root: Path

    def work(self, case: Case, good: Run | None) -> Finding | None:
        """Diagnose a run; None where somebody else does, or it could not be done this time.

        Args:
            case: The run.
            good: A run of the same experiment that went well.

        Raises:
            InfrastructureError: Something that we stand on fails.
        """
        lease = take(self.tracking, case.run.run_id, _LEASE)
        if lease is None:
            return None
        try:
            if self.tracking.run(case.run.run_id).status != case.run.status:
                return None  # It lives, or has ended meanwhile: the next sweep sees what it is.
            finding = self._recorded(case) or self._found(case, good, lease)
            if finding is not None and lease.renew():
                self._deliver(finding)
                return finding
            return None
        finally:
            lease.release()

    def _recorded(self, case: Case) -> Finding | None:
        """What was found before, by somebody who was ended before it could be delivered."""
        for run in self._about(case):
            if run.status != "RUNNING" and run.tags.get("agent.verdict", "running") != "running":
                if "agent.summary" in run.tags:
                    summary = run.tags["agent.summary"]
                    basis, verdict = run.tags.get(BASIS, "rerun"), run.tags["agent.verdict"]
                    return Finding(case, verdict, summary, basis, run.run_id, run.experiment_id)
        return None

    def _about(self, case: Case) -> list[Run]:
        return self.tracking.about(case.run.run_id, self.terms.experiment, SUBJECT)

    def _found(self, case: Case, good: Run | None, lease: Lease) -> Finding | None:
        try:
            recipe = find_recipe(case.run, self.root)
            with laid_out(recipe, self.root) as there:
                return self._rerun(case, there, good, lease)
        except Refused as refusal:
            return self._from_metrics(case, str(refusal))
        except InfrastructureError as error:
            attempts = _number(self.tracking.run(case.run.run_id).tags.get(ATTEMPTS, "")) + 1
            if attempts >= _MOST_ATTEMPTS:
                return self._from_metrics(case, f"{attempts} attempts failed: {error}")
            self.tracking.tag(case.run.run_id, {ATTEMPTS: str(attempts)})
            raise

    def _rerun(self, case: Case, recipe: Recipe, good: Run | None, lease: Lease) -> Finding | None:
        asked = {"subject": case.run.run_id, **good_options(case, good)}
        if case.kind == "crashed":
            asked["observe"] = ""
        if "timeout" not in self.terms.options:
            asked["timeout"] = f"{enough_time(case.run):.0f}"
        broken = [run for run in self._about(case) if "agent.schema" in run.tags]
        if broken:
            asked["resume"] = broken[-1].run_id
        renewed = time.monotonic()

        def alive() -> bool:
            nonlocal renewed
            if time.monotonic() - renewed < _RENEW:
                return True
            renewed = time.monotonic()
            return lease.renew()

        diagnosis = diagnose(recipe, self.terms, asked, alive)
        return self._read(case, diagnosis) if diagnosis is not None else None

    def _read(self, case: Case, diagnosis: Diagnosis) -> Finding:
        entry = diagnosis.mlflow
        if entry is None:
            raise InfrastructureError("the diagnosis was not recorded")
        summary = summarise(case, diagnosis)
        place = entry.run_id, entry.experiment_id
        return Finding(case, diagnosis.verdict, summary, "rerun", *place)

    def _from_metrics(self, case: Case, refusal: str) -> Finding:
        """A diagnosis of what was logged, where the run cannot be started again."""
        summary, note = from_metrics(case, refusal, self.tracking.history)
        verdict = "failed" if case.kind == "crashed" else "unresolved"
        tags = {
            SUBJECT: case.run.run_id,
            BASIS: "metrics",
            "agent.verdict": verdict,
            "agent.summary": summary[:MAX_TAG],
            "agent.refused": refusal[:MAX_TAG],
            NOTE: note[:MAX_TAG],
        }
        name = f"{case.run.name}: {verdict} (metrics only)"[:250]
        run_id = self.tracking.create(self.terms.experiment, name, tags)
        self.tracking.terminate(run_id, "FINISHED")
        experiment = self.tracking.run(run_id).experiment_id
        return Finding(case, verdict, summary, "metrics", run_id, experiment)

    def _deliver(self, finding: Finding) -> None:
        """Link the run and its diagnosis; the last of it says that the run is done."""
        case, tracking = finding.case, self.tracking
        diagnosis, now = tracking.run(finding.diagnosis), tracking.run(case.run.run_id)
        place = self._link(now.experiment_id, now.run_id)
        line = f"Diagnosis of run [{escape(now.name)}]({place}): {escape(case.reason)}."
        if finding.basis == "rerun" and (changed := changed_packages(now)):
            line += f" Run again with other packages: {escape(', '.join(changed))}."
        note = diagnosis.tags.get(NOTE, "")
        if place not in note:
            note = f"{note.rstrip()[: MAX_TAG - len(line) - 2]}\n\n{line}"
        tracking.tag(finding.diagnosis, {SUBJECT: now.run_id, BASIS: finding.basis, NOTE: note})
        if case.kind == "stale" and now.status == "RUNNING" and "silent" not in case.reason:
            tracking.terminate(now.run_id, "KILLED", now.last_sign)
            tracking.tag(now.run_id, {f"{PREFIX}ending": case.reason})
        tags = {
            NOTE: note_with(now, finding, self._link),
            DIAGNOSIS: finding.diagnosis,
            VERDICT: finding.verdict,
            BASIS: finding.basis,
            LEASE: "",
        }
        tracking.tag(now.run_id, tags)

    def _link(self, experiment: str, run_id: str) -> str:
        uri = self.terms.tracking_uri
        server = uri.rstrip("/") + "/" if uri.startswith(("http:", "https:")) else ""
        return f"{server}#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"


def good_options(case: Case, good: Run | None) -> Mapping[str, str]:
    """The option that names the known-good configuration, where there is one that differs.

    Args:
        case: The run; one that crashed or was killed says nothing against its settings.
        good: A run that went well.
    """
    from remedies.arguments import differences

    if good is None or case.kind not in _SICK:
        return {}
    bad, arguments = case.run.arguments, good.arguments
    if (
        bad is not None
        and arguments is not None
        and good.noted("script") == case.run.noted("script")
    ):
        return {"good": shlex.join(arguments)} if differences(bad, arguments) else {}
    return {}


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
