"""Runs a diagnosis from the first observation to the recorded verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from agent import conclusion
from agent.candidate import Candidate
from agent.confirm import Confirmer
from agent.diagnosis import Cost, Diagnosis, LedgerEntry
from agent.episode import Episode
from agent.errors import InfrastructureError, UsageError, WorkloadError
from agent.findings import Findings
from agent.known_good import arguments_of_run, differing
from agent.launch import Launcher
from agent.ledger import Ledger, params_of
from agent.markdown import to_markdown
from agent.prefix import choose
from agent.progress import (
    Listener,
    Notice,
    ObjectiveChosen,
    Part,
    PartStarted,
    SymptomsFound,
)
from agent.request import Request
from agent.search import Search
from agent.settings import SettingSearch
from agent.snapshot import Snapshot
from agent.study import Study
from agent.text import duration
from agent.workload import Outcome
from probes import probes
from probes.base import Probe
from probes.objective import Objective, infer_mode
from probes.registry import suggest
from remedies import remedies
from remedies.arguments import Difference
from remedies.base import Remedy
from remedies.treatment import CONTROL, Treatment

_MOST_CONFIRMATIONS = 2
"""Treatments that are put to the confirmation before the diagnosis gives up."""

Unit = TypeVar("Unit", Probe, Remedy)


def diagnose(request: Request, listener: Listener) -> Diagnosis:
    """Find out what is wrong with a workload, and prove a fix.

    Args:
        request: What to diagnose, and how.
        listener: Is told what happens.

    Raises:
        UsageError: The script, the metric or a code does not exist.
        InfrastructureError: Ray, MLflow or the disk fails.
    """
    return Controller(request, listener).run()


def home() -> Path:
    """Folder of the embedded stores: ``$AGENT_HOME``, or ``~/.agent``."""
    return Path(os.environ.get("AGENT_HOME") or "~/.agent").expanduser().resolve()


class Controller:
    """One diagnosis.

    Args:
        request: What to diagnose, and how.
        listener: Is told what happens.
    """

    def __init__(self, request: Request, listener: Listener) -> None:
        self._request = request
        self._listener = listener
        self._started = time.monotonic()
        self._parts: dict[str, float] = {}
        self._part: tuple[Part, float] | None = None
        self._probes = _selected(probes, request)
        self._remedies = _selected(remedies, request)
        self._offered = [remedies[key] for key in request.offer]

    def run(self) -> Diagnosis:
        """Run the diagnosis and record it."""
        self._begin("start")
        workload = self._request.workload
        ledger = Ledger(self._request.tracking_uri, self._request.experiment, home())
        ledger.check()
        differences = self._differences()
        snapshot = Snapshot.take(workload.directory, workload.script)
        ledger.open(self._request, snapshot.digest)
        try:
            diagnosis = self._run_trials(snapshot, ledger, differences)
        except BaseException as error:
            ledger.abort(f"{type(error).__name__}: {error}")
            ledger.close()
            raise
        ledger.finish(diagnosis, to_markdown(diagnosis))
        try:
            ledger.close()
        except InfrastructureError as error:
            # What was found is not lost with the record of it.
            self._listener(Notice(str(error)))
        self._end_part()
        cost = diagnosis.cost.model_copy(
            update={"wall_s": self._elapsed(), "parts": dict(self._parts)}
        )
        return diagnosis.model_copy(update={"cost": cost})

    def _differences(self) -> list[Difference]:
        """What differs from the known-good configuration; empty where there is none.

        Raises:
            UsageError: It is not there, or nothing differs.
        """
        request, workload = self._request, self._request.workload
        if request.good_run is not None:
            params = params_of(request.good_run, request.tracking_uri, home())
            good, unknown = arguments_of_run(params, workload.args, workload.script)
            if unknown:
                listed = ", ".join(unknown)
                self._listener(Notice(f"logged, but no setting of the script: {listed}"))
            self._request = request.model_copy(update={"good": good})
            return differing(workload.args, good, f"--good-run {request.good_run}")
        return differing(workload.args, request.good, "--good") if request.good is not None else []

    def _run_trials(
        self, snapshot: Snapshot, ledger: Ledger, differences: Sequence[Difference]
    ) -> Diagnosis:
        findings = Findings()
        error = None
        request = self._request
        with Launcher(snapshot, request.workload, request.slots, request.address) as launcher:
            known = ledger.known if request.resume else []
            episode = Episode(launcher, self._listener, ledger.record, self._probes, known)
            try:
                self._observe(episode, findings)
                confirmer = self._confirmer(episode)
                if differences and not request.observe and findings.objective is not None:
                    self._search_settings(episode, findings, differences)
                    self._confirm_settings(confirmer, findings)
                if self._needs_trials(findings):
                    self._search(episode, findings, ledger.entry)
                    if findings.fix is None:
                        self._confirm(episode, findings, confirmer)
            except WorkloadError as failure:
                error = str(failure)
            self._begin("record")
        cost = Cost(
            trials=len(episode.outcomes),
            steps=episode.steps,
            baseline_equivalents=round(episode.spent, 2),
            wall_s=self._elapsed(),
            parts=dict(self._parts),
        )
        return conclusion.draw(request, findings, cost, ledger.entry, error)

    def _observe(self, episode: Episode, findings: Findings) -> None:
        """Run the script untreated, choose the metric and read the symptoms.

        Raises:
            WorkloadError: The script fails by itself or trains nothing.
            UsageError: The metric that was asked for is not reported.
        """
        self._begin("observe")
        episode.start(CONTROL, self._request.seed_base, "observe")
        baseline = episode.next()
        findings.baseline = baseline
        if baseline.trace.steps:
            findings.objective = self._objective(baseline)
            episode.objective = findings.objective
        findings.symptoms = episode.symptoms(baseline)
        episode.conclude(baseline, "observed")
        for note in (text for text in baseline.trace.notes if text.startswith("--")):
            self._listener(Notice(note))
        self._shorten(episode, findings)
        conclusion.check_baseline(
            episode.outcomes[baseline.spec.number],
            findings.symptoms,
            self._request.good is not None,
        )
        if findings.objective is not None:
            self._listener(ObjectiveChosen(findings.objective, self._request.metric is None))
        self._listener(SymptomsFound(findings.symptoms))

    def _shorten(self, episode: Episode, findings: Findings) -> None:
        """Choose a prefix for the trials where whole runs would take too long."""
        baseline, objective, request = findings.baseline, findings.objective, self._request
        if baseline is None or objective is None or request.good is not None or request.observe:
            return
        runs = request.budget / episode.slots
        chosen = choose(baseline, objective, episode.symptoms, runs, request.time_budget)
        if chosen is not None:
            episode.shorten(chosen.outcome, chosen.steps)
            findings.prefix = chosen
            findings.symptoms = episode.symptoms(chosen.outcome)
            self._listener(
                Notice(
                    f"{request.budget:g} runs of this script would take more than "
                    f"{duration(request.time_budget)} (--time-budget): trials stop after "
                    f"{chosen.steps} of {chosen.of} steps, which show the symptoms"
                )
            )

    def _objective(self, baseline: Outcome) -> Objective | None:
        name = self._request.metric
        if name is None:
            return Objective.infer(baseline.trace)
        metrics = baseline.trace.metrics
        if name not in metrics:
            near = suggest(name, list(metrics)).partition(" (")[0]
            known = f"It reports: {', '.join(metrics)}" if metrics else "It reports none at all"
            raise UsageError(f"the script reports no metric {name!r}{near or '.'} {known}")
        mode = self._request.mode or infer_mode(name)
        return Objective(name=name, mode=mode, source=metrics[name].source)

    def _needs_trials(self, findings: Findings) -> bool:
        if self._request.observe or findings.objective is None:
            return False
        if self._offered:
            return True
        sick = any(symptom.alarming for symptom in findings.symptoms)
        return sick and findings.fix is None

    @property
    def _search_budget(self) -> float:
        """What may have been spent when a search ends: the rest is for the confirmation."""
        return max(2.0, self._request.budget - 2.0 * self._request.seeds)

    def _search_settings(
        self, episode: Episode, findings: Findings, differences: Sequence[Difference]
    ) -> None:
        """Find out which of the differences to the known-good configuration it is."""
        self._begin("search")
        search = SettingSearch(episode, differences, self._request.seed_base, self._search_budget)
        findings.settings = search.found
        if (found := search.run()).complaint:
            self._listener(Notice(found.complaint))

    def _confirm_settings(self, confirmer: Confirmer, findings: Findings) -> None:
        """Confirm what the search over the settings found, which is minimal already."""
        settings = findings.settings
        if settings is None or settings.good is None or not settings.fix:
            return
        self._begin("confirm")
        confirmation = confirmer.confirm(settings.fix, settings.tolerated)
        findings.fix = confirmation if confirmation.confirmed else None
        findings.confirmations = tuple(confirmer.results)

    def _search(self, episode: Episode, findings: Findings, entry: LedgerEntry) -> None:
        self._begin("search")
        # A resumed diagnosis begins a search of its own, and is told at once what is known.
        session = f"{entry.run_id}-{time.time_ns()}"
        storage = home() / "studies" / f"{entry.run_id}.log"
        assert findings.objective is not None
        objective, seed = findings.objective, self._request.seed_base
        control = objective.series(episode.controls[seed].trace)

        def make_study(name: str, candidates: Iterable[Candidate], base: Treatment) -> Study:
            return Study(
                f"{session}-{name}", list(candidates), objective, storage, seed, base, control
            )

        search = Search(episode, self._remedies, seed, self._search_budget, make_study)
        try:
            search.run(findings.symptoms, self._offered)
        finally:
            findings.heard = tuple(search.heard)

    def _confirmer(self, episode: Episode) -> Confirmer:
        base = self._request.seed_base
        seeds = range(base + 1, base + 1 + self._request.seeds)
        return Confirmer(episode, seeds, self._request.budget)

    def _confirm(self, episode: Episode, findings: Findings, confirmer: Confirmer) -> None:
        """Confirm the best of what recovered the metric; the next best if that one fails."""
        ranked = conclusion.by_gain(findings.heard)
        if not ranked:
            return
        self._begin("confirm")
        for heard in ranked[:_MOST_CONFIRMATIONS]:
            needed = self._request.seeds * (2 if not confirmer.results else 1)
            if confirmer.results and episode.spent + needed > self._request.budget:
                break
            confirmation = confirmer.confirm(heard.treatment)
            if confirmation.confirmed:
                findings.fix = confirmer.minimise(confirmation)
                break
        findings.confirmations = tuple(confirmer.results)

    def _begin(self, part: Part) -> None:
        self._end_part()
        self._part = (part, time.monotonic())
        self._listener(PartStarted(part))

    def _end_part(self) -> None:
        if self._part is not None:
            name, began = self._part
            # A part may come twice: a search over settings, and then one over remedies.
            before = self._parts.get(name, 0.0)
            self._parts[name] = round(before + time.monotonic() - began, 2)
            self._part = None

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._started, 2)


def _selected(registry: Iterable[Unit], request: Request) -> list[Unit]:
    """The units that ``--only`` and ``--skip`` leave; ``--only`` of one kind leaves the other."""
    units = list(registry)

    def named(unit: Unit, keys: tuple[str, ...]) -> bool:
        return bool({unit.code.lower(), unit.name.lower()} & {key.lower() for key in keys})

    if any(named(unit, request.only) for unit in units):
        units = [unit for unit in units if named(unit, request.only)]
    return [unit for unit in units if not named(unit, request.skip)]
