"""What the ledger writes: one record for each thing that happens in a diagnosis, as plain data."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from agent.candidate import read_treatment, write_treatment
from agent.diagnosis import Diagnosis, Tried
from agent.experience import write_evidence
from agent.main_symptom import main_symptom
from agent.request import Request
from agent.trace_file import write_trace
from agent.wording import recovery
from agent.workload import Outcome, TrialSpec
from probes.facts import Status
from probes.series import Series
from remedies.treatment import CONTROL, describe

JOB = "agent.job"
"""Tag of a diagnosis with the job of the service that it was made for."""
PATCHED = "patch"
"""Part of the diagnosis that trials of a patched script belong to: they are no controls."""
MAX_TAG = 8000  # characters, of MLflow's databases
MAX_PARAM = 6000
_MAX_POINTS = 2000  # of one curve; the trace file has them all
_NO_METRIC = 1e12  # Objective.worst
_STATUSES: dict[Status, str] = {
    "completed": "FINISHED",
    "stopped": "FINISHED",
    "raised": "FAILED",
    "exited": "FAILED",
    "killed": "KILLED",
    "timeout": "KILLED",
    "out-of-memory": "KILLED",
    "cancelled": "KILLED",
}

Point = tuple[str, int, float, int]
"""Name, step, value and Unix time in milliseconds (0: now) of one value of a metric."""


@dataclass(frozen=True)
class StartRecord:
    """A diagnosis begins.

    Attributes:
        request: What was asked for.
        time: Unix time in seconds.
        digest: Of the user's files, see `Snapshot.digest`.
        identity: Of the trials, see `agent.identity`.
    """

    request: Request
    time: float
    digest: str = ""
    identity: str = ""

    @property
    def name(self) -> str:
        """Name of the run until its verdict is known."""
        return f"{self.request.workload.script.name}: running"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the run."""
        script, subject = self.request.workload.script, self.request.subject
        about = {"agent.subject": subject, JOB: self.request.job}
        return {name: told for name, told in about.items() if told} | {
            "agent.verdict": "running",
            "agent.script": str(script),
            "agent.files": self.digest,
            "agent.schema": "1",
            "mlflow.source.name": str(script),
            "mlflow.source.type": "LOCAL",
        }

    @property
    def params(self) -> dict[str, str]:
        """What was asked for."""
        request = self.request
        limits = request.workload.limits
        given = {
            "script": request.workload.script,
            "args": " ".join(request.workload.args),
            "metric": request.metric or "(inferred)",
            "mode": request.mode or "(inferred)",
            "seeds": request.seeds,
            "seed_base": request.seed_base,
            "budget": request.budget,
            "observe": request.observe,
            "only": ",".join(request.only),
            "skip": ",".join(request.skip),
            "try": ",".join(request.offer),
            "good": shlex.join(request.good or ()),
            "good_run": request.good_run,
            **limits.model_dump(),
        }
        return {name: str(value) for name, value in given.items() if value not in ("", None)}

    def spool(self, folder: Path) -> None:
        """Write it to files; addresses of databases may have passwords, and are not needed."""
        hidden = self.request.model_copy(update={"tracking_uri": None, "storage": None})
        _write(folder / "request.json", hidden.model_dump_json(indent=1))


@dataclass(frozen=True)
class TrialRecord:
    """A trial has ended.

    Attributes:
        outcome: Its outcome.
        part: Part of the diagnosis that it belongs to.
        tried: What came of its treatment, where that is known.
        patched: Identity of the trial where it is one of a patched script; empty where it is none.
    """

    outcome: Outcome
    part: str
    tried: Tried | None = None
    patched: str = ""

    @property
    def name(self) -> str:
        """Name of the run."""
        spec = self.outcome.spec
        what = "patched script" if self.patched else describe(spec.treatment)
        return f"{what} | seed {spec.seed}"[:250]

    @property
    def status(self) -> str:
        """MLflow's status of the run."""
        return _STATUSES[self.outcome.status]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the run."""
        spec, trace = self.outcome.spec, self.outcome.trace
        broken = {
            name: next(step for step, value in series if not math.isfinite(value))
            for name, series in trace.metrics.items()
            if not all(map(math.isfinite, series.values))
        }
        tags = {
            "agent.trial": str(spec.number),
            "agent.part": self.part,
            "agent.seed": str(spec.seed),
            "agent.max-steps": str(spec.max_steps or ""),
            "agent.treatment": write_treatment(spec.treatment),
            "agent.ending": self.outcome.status,
            "agent.tried": self._role,
            "agent.recalled": self.outcome.recalled,
            # MLflow's pages leave NaN and infinities out: say where they set in.
            "agent.not-finite": json.dumps(broken) if broken else "",
            "agent.message": trace.ending.message if trace.ending else "the process vanished",
        }
        if self.tried is not None:
            tags |= tried_tags(self.tried)
        return {key: value for key, value in tags.items() if value}

    @property
    def _role(self) -> str:
        if self.patched:
            return "patched"
        return "" if self.outcome.spec.treatment else "control"

    @property
    def params(self) -> dict[str, str]:
        """The treatment and the seed, to compare runs by."""
        spec = self.outcome.spec
        params = {"treatment": describe(spec.treatment), "seed": str(spec.seed), "part": self.part}
        names = [action.name for action in spec.treatment]
        for action in spec.treatment:
            # One remedy at several places: each place has parameters of its own.
            at = f"{action.name}.{action.target}" if names.count(action.name) > 1 else action.name
            if action.target:
                params[f"{at}.target"] = action.target
            params |= {f"{at}.{key}": str(value) for key, value in action.params.items()}
        return params

    @property
    def started(self) -> int:
        """Unix time in milliseconds."""
        return round(1000 * self.outcome.started)

    @property
    def ended(self) -> int:
        """Unix time in milliseconds."""
        return round(1000 * (self.outcome.started + self.outcome.seconds))

    @property
    def points(self) -> list[Point]:
        """The metrics of the script; their times are made even over the run."""
        trace = self.outcome.trace
        per_step = (self.ended - self.started) / max(1, trace.steps)
        points = [
            (name, step, value, self.started + round(per_step * min(step, trace.steps)))
            for name, series in trace.metrics.items()
            for step, value in _thinned(series.finite)
        ]
        points.append(("agent.seconds", trace.steps, self.outcome.seconds, self.ended))
        points.append(("agent.steps", trace.steps, float(trace.steps), self.ended))
        return points

    def spool(self, folder: Path) -> None:
        """Write it to files."""
        folder = folder / f"trial-{self.outcome.spec.number:03}"
        folder.mkdir(exist_ok=True)
        write_trace(self.outcome.trace, folder)
        about = {
            "name": self.name,
            "status": self.status,
            "tags": self.tags,
            "params": self.params,
            "started": self.outcome.started,
            "seconds": self.outcome.seconds,
        }
        _write(folder / "run.json", json.dumps(about, indent=1))


@dataclass(frozen=True)
class FinishRecord:
    """The diagnosis is done."""

    diagnosis: Diagnosis
    markdown: str

    @property
    def status(self) -> str:
        """MLflow's status of the run."""
        return "FAILED" if self.diagnosis.verdict == "failed" else "FINISHED"

    @property
    def name(self) -> str:
        """Name of the run: lists of runs show little else."""
        name = f"{Path(self.diagnosis.workload.script).name}: {self.diagnosis.verdict}"
        fix = self.diagnosis.fix
        return f"{name} by {describe(fix.treatment)}"[:250] if fix else name

    @property
    def tags(self) -> dict[str, str]:
        """What to find the run by."""
        diagnosis = self.diagnosis
        tags = {
            "agent.verdict": diagnosis.verdict,
            "agent.summary": diagnosis.summary,
            "agent.error": diagnosis.error or "",
            "mlflow.note.content": self.markdown,
        }
        if metric := diagnosis.workload.metric:
            tags["agent.metric"] = f"{metric.name}:{metric.mode}"
        if diagnosis.symptoms:
            fix = diagnosis.fix.treatment if diagnosis.fix else CONTROL
            named = main_symptom(diagnosis.symptoms, fix) or diagnosis.symptoms[0]
            tags["agent.symptom"] = f"{named.code} {named.name}"
            tags["agent.where"] = named.where
            tags["agent.source"] = named.source or ""
            tags["agent.symptoms"] = ",".join(dict.fromkeys(s.code for s in diagnosis.symptoms))
        if diagnosis.fix:
            tags["agent.fix"] = describe(diagnosis.fix.treatment)
            tags["agent.recovery"] = recovery(diagnosis.fix)
            tags["agent.treatment"] = write_treatment(diagnosis.fix.treatment)
        if diagnosis.tried:
            tags["agent.evidence"] = write_evidence(diagnosis)
        return {key: value for key, value in tags.items() if value}

    @property
    def points(self) -> list[Point]:
        """Effect and cost; ``agent.before`` and ``agent.after`` are means over the seeds."""
        cost, fix = self.diagnosis.cost, self.diagnosis.fix
        points: list[Point] = [
            ("agent.trials", 0, float(cost.trials), 0),
            ("agent.steps", 0, float(cost.steps), 0),
            ("agent.baseline-equivalents", 0, cost.baseline_equivalents, 0),
            ("agent.seconds", 0, cost.wall_s, 0),
        ]
        if self.diagnosis.symptoms:
            severity = max(symptom.severity for symptom in self.diagnosis.symptoms)
            points.append(("agent.severity", 0, severity, 0))
        if fix:
            low, high = fix.ci
            of_fix = {"effect": fix.effect, "ci-low": low, "ci-high": high}
            of_fix |= {"p-value": fix.p_value, "noise": fix.noise}
            points += [(f"agent.{name}", 0, value, 0) for name, value in of_fix.items()]
            for name, values in ("before", fix.metric_before), ("after", fix.metric_after):
                points.append((f"agent.{name}", 0, fmean(values.values()), 0))
        return [p for p in points if math.isfinite(p[2]) and abs(p[2]) < _NO_METRIC / 100]

    @property
    def files(self) -> dict[str, str]:
        """Artifacts of the run: name and text."""
        files = {
            "diagnosis.json": self.diagnosis.model_dump_json(indent=1),
        }
        if self.diagnosis.fix and self.diagnosis.fix.patch:
            files["fix.patch"] = self.diagnosis.fix.patch
        return files

    def curves(self, trials: Iterable[TrialRecord]) -> list[Point]:
        """The metric of the first confirmation seed, untreated and treated, side by side."""
        metric, fix = self.diagnosis.workload.metric, self.diagnosis.fix
        if metric is None or fix is None:
            return []
        sides = {"control": CONTROL, "treated": fix.treatment}
        specs = [trial.outcome.spec for trial in trials]
        shared = [s.seed for s in specs if s.treatment == CONTROL and s.seed in fix.metric_after]
        return [
            (f"{metric.name}/{side}", step, value, at)
            for side, treatment in sides.items()
            for trial in trials
            if trial.outcome.spec.treatment == treatment and trial.outcome.spec.seed in shared[:1]
            for name, step, value, at in trial.points
            if name == metric.name
        ]

    def spool(self, folder: Path) -> None:
        """Write it to files."""
        for name, text in {**self.files, "report.md": self.markdown}.items():
            _write(folder / name, text)


@dataclass(frozen=True)
class AbortRecord:
    """The diagnosis dies."""

    reason: str
    killed: bool

    @property
    def status(self) -> str:
        """MLflow's status of the run."""
        return "KILLED" if self.killed else "FAILED"

    @property
    def tags(self) -> dict[str, str]:
        """Why."""
        return {"agent.verdict": "failed", "agent.error": self.reason or "unknown"}

    def spool(self, folder: Path) -> None:
        """Write it to files."""
        _write(folder / "abort.json", json.dumps(asdict(self)))


Record = StartRecord | TrialRecord | FinishRecord | AbortRecord


def spec_of(tags: Mapping[str, str]) -> TrialSpec:
    """The trial that `TrialRecord.tags` tell of.

    Raises:
        KeyError: They are of no trial.
    """
    stop = tags.get("agent.max-steps")
    treatment = read_treatment(tags["agent.treatment"])
    number, seed = int(tags["agent.trial"]), int(tags["agent.seed"])
    return TrialSpec(number, treatment, seed, int(stop) if stop else None)


def tried_tags(tried: Tried) -> dict[str, str]:
    """What came of a treatment, for the runs that it had."""
    return {"agent.tried": tried.status, "agent.reason": tried.reason}


def clean_key(key: str) -> str:
    """A name that MLflow takes for a metric, parameter or tag.

    >>> clean_key("loss@k=5 (val)"), clean_key("/../val//acc")
    ('loss_k_5 _val_', 'val/acc')
    """
    key = re.sub(r"[^\w\-. /:]", "_", key, flags=re.ASCII)[:250]
    return "/".join(part for part in key.split("/") if part not in ("", ".", "..")) or "_"


def _write(path: Path, text: str) -> None:
    """Write a file as a whole or not at all: nothing half-written is taken for true."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _thinned(series: Series) -> Iterable[tuple[int, float]]:
    points = list(series)
    stride = math.ceil(len(points) / _MAX_POINTS)
    return points if stride <= 1 else [*points[::stride], points[-1]]
