"""Runs a diagnosis from the first observation to the recorded verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agent import conclusion
from agent.cut_short import cut_short, was_interrupted
from agent.diagnosis import Cost, Diagnosis, LedgerEntry
from agent.episode import Episode
from agent.errors import InfrastructureError, WorkloadError
from agent.findings import Findings
from agent.identity import identity
from agent.known_good import arguments_of_run, differing
from agent.launch import Launcher
from agent.ledger import Ledger
from agent.ledger.lookup import params_of
from agent.markdown import to_markdown
from agent.offer_patch import offer_patch
from agent.policies import Policy, policies
from agent.progress import Listener, Notice, Part, PartStarted
from agent.request import Request
from agent.selection import selected
from agent.settings import SettingSearch
from agent.shelf import shelf
from agent.snapshot import Snapshot
from agent.store import home
from agent.study import check_storage
from agent.trials import Trials
from agent.workload import Outcome
from probes import probes
from remedies import remedies
from remedies.arguments import Difference


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


class Controller:
    """One diagnosis.

    Args:
        request: What to diagnose, and how.
        listener: Is told what happens.
        policy: Chooses what to try; None: the one that is asked for by its name.
        launch: Makes the launcher.
    """

    def __init__(
        self,
        request: Request,
        listener: Listener,
        policy: Policy | None = None,
        launch: Callable[[Snapshot, Request], Launcher] | None = None,
    ) -> None:
        self._request = request
        self._listener = listener
        self._started = time.monotonic()
        self._parts: dict[str, float] = {}
        self._part: tuple[Part, float] | None = None
        self._current: tuple[Episode, Trials] | None = None
        self._policy = policy or policies[request.policy]
        self._launch = launch or self._launcher

    def run(self) -> Diagnosis:
        """Run the diagnosis and record it."""
        with shelf(home()) as self._shelf:
            return self._run()

    def _run(self) -> Diagnosis:
        self._begin("start")
        workload = self._request.workload
        ledger = Ledger(self._request.tracking_uri, self._request.experiment, home())
        ledger.check()
        if self._request.storage is not None:
            check_storage(self._request.storage)
        differences = self._differences()
        snapshot = Snapshot.take(workload.directory, workload.script)
        try:
            diagnosis = self._run_trials(snapshot, ledger, differences)
        except BaseException as error:
            ledger.abort(f"{type(error).__name__}: {error}", was_interrupted(error) or None)
            ledger.close()
            entry = ledger.settled
            run_id = entry.run_id if entry and self._current else ""
            told = cut_short(error, run_id, lambda: self._so_far(entry))
            if told is error:
                raise
            raise told from error
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
        error = None
        request = self._request
        patched: list[Outcome] = []
        with self._launch(snapshot, request) as launcher:  # It makes itself ready meanwhile.
            same = identity(request.workload, snapshot, request.address)
            ledger.open(request, snapshot.digest, same)
            known = ledger.known if request.resume else []
            record, recall = ledger.record, ledger.recall
            read = selected(probes, request)
            trials = Trials(
                launcher, self._listener, record, read, known, recall, shelf=self._shelf
            )
            episode = self._episode(trials, ledger)
            self._current = episode, trials
            try:
                self._begin("observe")
                episode.observe(self._listener)
                if differences and not request.observe and episode.findings.objective is not None:
                    self._search_settings(trials, episode, differences)
                if self._needs_trials(episode.findings):
                    self._policy.pursue(episode, self._begin)
                if episode.findings.fix is not None:
                    self._begin("patch")
                    patched = offer_patch(
                        episode.findings,
                        self._request,
                        snapshot,
                        launcher,
                        ledger,
                        len(trials.outcomes),
                    )
            except WorkloadError as failure:
                error = str(failure)
            self._begin("record")
            cost = self._cost(trials, patched)
            diagnosis = conclusion.draw(request, episode.findings, cost, ledger.entry, error)
            # While Ray ends, which takes seconds, it is written.
            ledger.finish(diagnosis, to_markdown(diagnosis))
        return diagnosis

    def _cost(self, trials: Trials, patched: Sequence[Outcome] = ()) -> Cost:
        return Cost(
            trials=len(trials.outcomes),
            recalled=sum(bool(outcome.recalled) for outcome in trials.outcomes.values()),
            steps=trials.steps + sum(outcome.steps for outcome in patched),
            baseline_equivalents=round(trials.spent + len(patched), 2),
            wall_s=self._elapsed(),
            parts=dict(self._parts),
        )

    def _so_far(self, entry: LedgerEntry | None) -> Diagnosis | None:
        """What is known before the end; None where that is nothing."""
        if self._current is None or entry is None:
            return None
        episode, trials = self._current
        if episode.findings.objective is None:
            return None
        self._end_part()
        return conclusion.draw(self._request, episode.findings, self._cost(trials), entry, None)

    def _episode(self, trials: Trials, ledger: Ledger) -> Episode:
        def journal() -> tuple[str, Path | str]:
            # A resumed diagnosis begins a search of its own, and is told at once what is known.
            run_id = ledger.entry.run_id
            file = home() / "studies" / f"{run_id}.log"
            return f"{run_id}-{time.time_ns()}", self._request.storage or file

        offered = selected(remedies, self._request)
        return Episode(self._request, trials, offered, journal, lambda: ledger.experience)

    def _needs_trials(self, findings: Findings) -> bool:
        if self._request.observe or findings.objective is None:
            return False
        if self._request.offer:
            return True
        sick = any(symptom.alarming for symptom in findings.symptoms)
        return sick and findings.fix is None

    def _search_settings(
        self, trials: Trials, episode: Episode, differences: Sequence[Difference]
    ) -> None:
        """Find out which of the differences to the known-good configuration it is."""
        self._begin("search")
        seed, budget = self._request.seed_base, episode.search_budget
        search = SettingSearch(trials, differences, seed, budget)
        found = episode.findings.settings = search.found
        if search.run().complaint:
            self._listener(Notice(found.complaint))
        if found.good is not None and found.fix:
            self._begin("confirm")
            episode.confirm(found.fix, found.tolerated, minimal=True)

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

    def _launcher(self, snapshot: Snapshot, request: Request) -> Launcher:
        return Launcher(
            snapshot,
            request.workload,
            request.slots,
            request.address,
            shelf=self._shelf,
            ahead=not request.observe,
        )
