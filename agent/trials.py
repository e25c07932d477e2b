"""Runs the trials of one workload, remembers them, and counts what they cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from agent.assessment import Assessment, assess, read_symptoms
from agent.launch import Report
from agent.progress import Listener, Notice, Part, TrialEnded, TrialProgressed, TrialStarted
from agent.workload import Outcome, TrialSpec
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Event, Trace
from remedies.treatment import CONTROL, Treatment, describe

Reader = Callable[[Trace, Iterable[Probe], Objective | None], tuple[Symptom, ...]]
Recorder = Callable[[Outcome, Part], None]
Watcher = Callable[[int, Event], bool]


class Runner(Protocol):
    """What runs trials: the launcher, or something that stands in for it."""

    @property
    def slots(self) -> int:
        """How many trials run at a time."""

    def submit(self, spec: TrialSpec) -> None:
        """Run a trial as soon as a slot is free."""

    def cancel(self, number: int) -> None:
        """End a trial; it still gets an outcome."""

    def poll(self) -> list[Report]:
        """What has happened, in order."""


class Trials:
    """Runs trials of one workload and keeps their outcomes.

    A control is run once per seed, however often it is asked for.

    Args:
        launcher: Runs the trials.
        listener: Is told what happens.
        record: Takes every outcome as it comes.
        probes: Read the traces.
        known: Outcomes of an earlier session, which are not run again.
        recall: Gives the outcome of the same trial of an earlier diagnosis, or None.
        read: Reads the symptoms of a trace.
        shelf: Folder that traces of treated runs are kept in once it is said what came of them;
            None to keep them in memory.
    """

    def __init__(
        self,
        launcher: Runner,
        listener: Listener,
        record: Recorder,
        probes: Sequence[Probe],
        known: Iterable[Outcome] = (),
        recall: Callable[[TrialSpec], Outcome | None] = lambda spec: None,
        read: Reader = read_symptoms,
        shelf: Path | None = None,
    ) -> None:
        self._launcher = launcher
        self._listener = listener
        self._record = record
        self._recall = recall
        self._read = read
        self._shelf = shelf
        self._best: float | None = None
        self._parts: dict[int, Part] = {}
        self._known = {outcome.spec.key: outcome for outcome in known}
        self._waiting: deque[Report] = deque()
        self._recalled: deque[Outcome] = deque()
        self.probes = tuple(probes)
        self.objective: Objective | None = None
        self.outcomes: dict[int, Outcome] = {}
        self.controls: dict[int, Outcome] = {}
        self._before: dict[int, tuple[Symptom, ...]] = {}
        self._prefix: int | None = None
        self._beyond = 0
        self._steps = 0

    @property
    def slots(self) -> int:
        """Trials that run at a time."""
        return self._launcher.slots

    @property
    def steps(self) -> int:
        """Optimizer steps of all trials so far."""
        return self._beyond + self._steps

    @property
    def spent(self) -> float:
        """What all trials so far cost, in runs of the untreated script.

        Measured in optimizer steps, of the prefix where trials are stopped early; in runs where
        the untreated script broke off early.
        """
        baseline = self.outcomes.get(0)
        if baseline is None or baseline.status not in ("completed", "stopped"):
            return float(len(self.outcomes))
        return self._steps / max(1, baseline.steps)

    def shorten(self, baseline: Outcome, steps: int) -> None:
        """Let all trials from now on be stopped after so many steps.

        Args:
            baseline: The untreated run up to there: the control that they are held against.
            steps: The step limit.
        """
        whole = self.outcomes[baseline.spec.number]
        self._beyond += whole.steps - baseline.steps
        self._prefix = steps
        self._keep(baseline)

    def start(self, treatment: Treatment, seed: int, part: Part) -> int:
        """Send a trial to a host; returns its number."""
        number = len(self._parts)
        self._listener(TrialStarted(number, describe(treatment), seed, part))
        spec = TrialSpec(number, treatment, seed, self._prefix)
        known = self._known.get(spec.key)
        if known is None and (known := self._recall(spec)) is not None:
            self._record(known, part)
        if known is not None:
            self._recalled.append(replace(known, spec=spec))
        else:
            self._launcher.submit(spec)
        self._parts[number] = part
        return number

    def cancel(self, number: int) -> None:
        """End a running trial; its outcome is ``cancelled``."""
        self._launcher.cancel(number)

    def stop(self) -> None:
        """End all that runs or waits, and wait for it: it has cost something, and tells nothing."""
        started = set(self._parts)
        for number in started - set(self.outcomes):
            self.cancel(number)
        while started - set(self.outcomes):
            self.next()

    def next(self, watch: Watcher | None = None) -> Outcome:
        """Wait for the next trial to end.

        Args:
            watch: Sees every event of the running trials with the trial's number; when it returns
                true, that trial is cancelled.
        """
        if self._recalled:
            return self._keep(self._recalled.popleft())
        while True:
            for number, report in self._reports():
                if isinstance(report, Outcome):
                    self._record(report, self._parts[number])
                    return self._keep(report)
                self._tell_progress(number, report)
                if watch is not None and watch(number, report):
                    self.cancel(number)

    def run(self, jobs: Iterable[tuple[Treatment, int]], part: Part) -> list[Outcome]:
        """Run trials, as many at a time as there are slots, and give their outcomes in order."""
        jobs = list(jobs)
        known = {
            place: self.controls[seed]
            for place, (treatment, seed) in enumerate(jobs)
            if treatment == CONTROL and seed in self.controls
        }
        started = {
            self.start(treatment, seed, part): place
            for place, (treatment, seed) in enumerate(jobs)
            if place not in known
        }
        while len(known) < len(jobs):
            outcome = self.next()
            known[started[outcome.spec.number]] = outcome
            self.conclude(outcome, "control" if outcome.spec.treatment == CONTROL else "measured")
        return [known[place] for place in range(len(jobs))]

    def symptoms(self, outcome: Outcome) -> tuple[Symptom, ...]:
        """What the probes find in a run."""
        return self._read(outcome.trace, self.probes, self.objective)

    def assess(self, outcome: Outcome) -> Assessment:
        """A treated run against the control of its seed, which must have run."""
        assert self.objective is not None
        seed = outcome.spec.seed
        control = self.controls[seed]
        if seed not in self._before:  # The same control is held against many treated runs.
            self._before[seed] = self.symptoms(control)
        return assess(outcome, control, self.symptoms(outcome), self._before[seed], self.objective)

    def conclude(self, outcome: Outcome, verdict: str) -> None:
        """Say what came of a trial."""
        value = self._value(outcome)
        better = False
        treated = outcome.spec.treatment != CONTROL and outcome.status != "cancelled"
        if treated and value is not None and self.objective is not None:
            better = self._best is None or self.objective.gain(self._best, value) > 0
            self._best = value if better else self._best
        number = outcome.spec.number
        self._listener(TrialEnded(number, verdict, value, better, outcome.seconds))
        # The controls are what all others are held against.
        if self._shelf is not None and outcome.spec.treatment != CONTROL:
            outcome.put_away(self._shelf / str(number))

    def _value(self, outcome: Outcome) -> float | None:
        if self.objective is None:
            return None
        value = outcome.value(self.objective)
        return None if value == self.objective.worst else value

    def _reports(self) -> Iterator[Report]:
        """What the launcher has to say, one by one: what is not taken now is kept for later."""
        while not self._waiting:
            self._waiting.extend(self._launcher.poll())
        while self._waiting:
            yield self._waiting.popleft()

    def _keep(self, outcome: Outcome) -> Outcome:
        before = self.outcomes.get(outcome.spec.number)
        self._steps += outcome.steps - (before.steps if before else 0)
        self.outcomes[outcome.spec.number] = outcome
        if outcome.spec.treatment == CONTROL and outcome.status != "cancelled":
            self.controls[outcome.spec.seed] = outcome
        return outcome

    def _tell_progress(self, number: int, event: Event) -> None:
        if event["event"] == "progress":
            self._listener(TrialProgressed(number, event["step"], None))
        elif event["event"] == "note" and "host" in event:
            self._listener(Notice(f"#{number} is {event['text']}"))
        elif event["event"] == "metric" and self.objective is not None:
            if event["name"] == self.objective.name:
                self._listener(TrialProgressed(number, event["step"], event["value"]))
