"""The diagnosis: the result of `agent diagnose`, and the schema of its JSON."""

from __future__ import annotations

import html
import json
import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from probes.objective import Mode
from probes.symptom import Symptom
from remedies.treatment import Treatment

Verdict = Literal["healthy", "fixed", "unresolved", "failed"]
TriedStatus = Literal["confirmed", "refuted", "pruned", "failed", "inert"]

EXIT_CODES: dict[Verdict, int] = {"healthy": 0, "fixed": 1, "unresolved": 1, "failed": 3}
"""Exit code of the command for each verdict."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class MetricSummary(_Record):
    """The metric by which trials were judged.

    Attributes:
        name: As the script prints or logs it.
        mode: ``max`` when higher is better.
        source: ``printed``, ``mlflow``, ``tensorboard``, ``wandb``.
        inferred: Whether we chose it, rather than the user.
        value: What the untreated run ended with; None where that is not finite.
    """

    name: str
    mode: Mode
    source: str
    inferred: bool = False
    value: float | None = None


class WorkloadSummary(_Record):
    """What was diagnosed: the script as given, and its untreated run.

    Attributes:
        script: As given.
        args: Its arguments.
        metric: What it was judged by.
        steps: Optimizer steps of the untreated run.
        seconds: What that took.
        prefix: Steps after which the trials were stopped, the run being too long for the time at
            hand; symptoms and metric are those of that prefix. None where trials ran to the end.
    """

    script: str
    args: tuple[str, ...] = ()
    metric: MetricSummary | None = None
    steps: int = 0
    seconds: float = 0.0
    prefix: int | None = None


class Tried(_Record):
    """One treatment that was tried, with what came of it.

    Attributes:
        treatment: What was changed.
        status: ``confirmed``; ``refuted`` by the evidence; ``pruned`` before the evidence was
            complete; ``failed`` (the treated script broke); ``inert`` (nothing to change).
        metric: Final metric by trial seed.
        control: Final metric of the untreated run by the same seeds.
        cleared: Symptom codes that the treatment made go away.
        raised: Symptom codes that only the treated run has.
        reason: Why it has this status, in one sentence.
    """

    treatment: Treatment
    status: TriedStatus
    metric: dict[int, float] = {}
    control: dict[int, float] = {}
    cleared: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()
    reason: str = ""


class PatchCheck(_Record):
    """What came of running the patched script, untreated, on confirmation seeds.

    Attributes:
        passed: Whether it recovers the metric as the treatment does; only then it is offered.
        reason: Why, in one sentence.
        metric: Final metric of the patched script by seed: of one, where it trained there bit for
            bit as the treated script did, and else of all.
        files: SHA-256 of each file that the patch changes, as it was diagnosed.
    """

    passed: bool
    reason: str
    metric: dict[int, float] = {}
    files: dict[str, str] = {}


class Pasted(_Record):
    """A few lines to paste into the script, where the fix has no patch.

    Attributes:
        place: The line that they come behind, ``train.py:41``.
        behind: What that line does, ``makes the model``.
        code: The lines, not indented; torch alone.
    """

    place: str
    behind: str
    code: str


class Fix(_Record):
    """A confirmed treatment with its statistics.

    Attributes:
        metric_before: Untreated metric by confirmation seed.
        metric_after: Treated metric by confirmation seed.
        effect: Mean improvement over the pairs, in units of the metric; positive is better.
        ci: 95 % interval of the effect (Student's t over the pairs).
        p_value: One-sided paired t-test of no improvement.
        noise: Standard deviation of the untreated metric over the confirmation seeds.
        advice: What to change in the script, for a person.
        patch: Unified diff, where the change can be written as one.
        patch_check: How the patched script did; None where it was not run.
        patch_folder: The folder that the patch belongs to, where that is not the working directory.
        pasted: Whether the patch pastes a helper for what could not be written into the code.
        helpers: What can be pasted by hand, where there is no patch.
    """

    treatment: Treatment
    metric_before: dict[int, float]
    metric_after: dict[int, float]
    effect: float
    ci: tuple[float, float]
    p_value: float
    noise: float = 0.0
    advice: str = ""
    patch: str | None = None
    patch_check: PatchCheck | None = None
    patch_folder: str = ""
    pasted: bool = False
    helpers: tuple[Pasted, ...] = ()


class SettingDifference(_Record):
    """A setting that the diagnosed command line does not share with the known-good one.

    Attributes:
        name: ``--lr``, ``model.depth``, ``argument 1``.
        bad: As it was diagnosed, quoted for a shell; empty where it was not given.
        good: As it is known to be good; empty where it was not given.
    """

    name: str
    bad: str
    good: str


class KnownGood(_Record):
    """What the comparison with a known-good configuration gave (``--good``, ``--good-run``).

    Attributes:
        args: The arguments of the known-good configuration.
        differences: The settings that differ.
        metric_bad: Final metric of the diagnosed configuration on the search seed.
        metric_good: The same with all differences reverted; None where it was not reported.
        fix: Names of the settings to revert; empty where none was found.
        cause: Names of the settings that, left as they were diagnosed, make the known-good
            configuration fail: those of the fix, and what else the failure needs.
        cures: Which of these recover the metric when they alone are reverted; None: not known.
        trials: Runs that it took, that of the known-good configuration included.
        message: All of it in one sentence.
    """

    args: tuple[str, ...]
    differences: tuple[SettingDifference, ...]
    metric_bad: float | None = None
    metric_good: float | None = None
    fix: tuple[str, ...] = ()
    cause: tuple[str, ...] = ()
    cures: tuple[str, ...] | None = None
    trials: int = 0
    message: str = ""


class Cost(_Record):
    """What the diagnosis took.

    Attributes:
        trials: Runs of the script, the observation included.
        recalled: Those of them that were taken from earlier diagnoses.
        steps: Optimizer steps over all of them.
        baseline_equivalents: Steps over the steps of the untreated run.
        wall_s: Wall time in seconds.
        parts: Wall time in seconds by part: ``start``, ``observe``, ``search``, ``confirm``,
            ``record``.
    """

    trials: int = 0
    recalled: int = 0
    steps: int = 0
    baseline_equivalents: float = 0.0
    wall_s: float = 0.0
    parts: dict[str, float] = {}


class Excerpt(_Record):
    """Lines of the source as it was diagnosed, around a place that a symptom names.

    Attributes:
        file: As symptoms name it, ``train.py``.
        first: Number of the first line.
        lines: The text, line by line.
        marked: Numbers of the lines that symptoms name.
    """

    file: str
    first: int
    lines: tuple[str, ...]
    marked: tuple[int, ...] = ()


class LedgerEntry(_Record):
    """Where the diagnosis is recorded in MLflow."""

    tracking_uri: str
    experiment_id: str
    run_id: str


class Diagnosis(_Record):
    """The result of one debugging session over one workload."""

    schema_version: Literal[1] = 1
    verdict: Verdict
    summary: str = Field(default="", description="One sentence: what was wrong, what fixed it.")
    workload: WorkloadSummary
    symptoms: tuple[Symptom, ...] = ()
    tried: tuple[Tried, ...] = ()
    fix: Fix | None = None
    known_good: KnownGood | None = None
    cost: Cost = Cost()
    mlflow: LedgerEntry | None = None
    error: str | None = None
    excerpts: tuple[Excerpt, ...] = ()
    command: str = Field(default="", description="The command line that asks for it again.")

    def __repr__(self) -> str:
        """The report as plain text: what an interactive session shows."""
        from agent.report import to_text

        return to_text(self).rstrip()

    def __str__(self) -> str:
        """The same."""
        return repr(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def read_diagnosis(text: str) -> Diagnosis:
    """A diagnosis from its JSON, in which null stands for numbers that JSON does not have.

    Raises:
        ValueError: It is no diagnosis, or one of another version.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no diagnosis")
    fix, tried = found.get("fix") or {}, found.get("tried") or ()
    places = [symptom.get("evidence") for symptom in found.get("symptoms") or ()]
    places += [entry.get(name) for entry in tried for name in ("metric", "control")]
    places += [fix, fix.get("metric_before"), fix.get("metric_after")]
    for numbers in filter(None, places):
        numbers |= {
            name: math.nan
            for name, value in numbers.items()
            if value is None and name not in ("patch", "patch_check")
        }
    if "ci" in fix:
        fix["ci"] = [math.nan if value is None else value for value in fix["ci"]]
    return Diagnosis.model_validate(found)
