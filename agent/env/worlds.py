"""Where the trials of the environment come from: they are run, recorded, or replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from agent.assessment import read_symptoms
from agent.env.play import Play
from agent.env.replay import Recording, Replay
from agent.episode import Episode
from agent.launch import Launcher
from agent.progress import Listener, Part
from agent.request import Request
from agent.selection import selected
from agent.snapshot import Snapshot
from agent.trials import Runner, Trials
from agent.workload import Outcome, TrialSpec
from probes import probes
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies
from remedies.treatment import Treatment


class Worlds:
    """Begins the episodes of one environment, which share what has run and been read already.

    A trial that an earlier episode made is not run again, but costs as much.

    Args:
        request: What to diagnose, and how.
        scratch: Folder for what need not be kept.
        record: Replay file to add all trials to.
        replay: Replay file to take all trials from.

    Raises:
        UsageError: A replay file is not there, or is none.
    """

    def __init__(
        self, request: Request, scratch: Path, record: Path | None, replay: Path | None
    ) -> None:
        self._request = request
        self._scratch = scratch
        self._replay = Replay(replay) if replay else None
        self._recording = Recording(record) if record else None
        self._outcomes = list(self._replay.outcomes) if self._replay else []
        self._kept = {id(outcome.trace) for outcome in self._outcomes}
        self._stack = contextlib.ExitStack()
        self._runner: Runner | None = self._replay
        self._symptoms: dict[int, tuple[Symptom, ...]] = {}
        self._begun = 0

    @property
    def name(self) -> str:
        """The script, as it is shown."""
        return self._request.workload.script.name

    @property
    def budget(self) -> float:
        """What an episode may spend, in runs of the untreated script."""
        return self._request.budget

    def begin(self, seed: int | None, random: np.random.Generator, listener: Listener) -> Play:
        """Run the script untreated, and give what can be played.

        Args:
            seed: First trial seed; None to leave it as it was, or to draw one that is recorded.
            random: Draws it.
            listener: Is told what happens.

        Raises:
            WorkloadError: The script fails by itself, trains nothing or reports nothing.
        """
        base = self._seed(seed, random)
        self._request = request = self._request.model_copy(update={"seed_base": base})
        trials = Trials(
            self._running(),
            listener,
            self._keep,
            selected(probes, request),
            self._outcomes,
            read=self._read,
        )
        self._begun += 1
        journal = f"episode-{self._begun}", self._scratch / "studies.log"
        episode = Episode(request, trials, selected(remedies, request), lambda: journal)
        episode.observe(listener)
        return Play(episode, request.budget, self._can_run)

    def close(self) -> None:
        """End what runs."""
        self._stack.close()

    def _seed(self, seed: int | None, random: np.random.Generator) -> int:
        if self._replay is None:
            return self._request.seed_base if seed is None else seed
        recorded = self._replay.first_seeds(self._request.seeds)
        place = int(random.integers(len(recorded))) if seed is None else seed % len(recorded)
        return recorded[place]

    def _running(self) -> Runner:
        if self._runner is None:
            workload = self._request.workload
            snapshot = Snapshot.take(workload.directory, workload.script)
            slots, address = self._request.slots or 1, self._request.address
            launcher = Launcher(snapshot, workload, slots, address)
            self._runner = self._stack.enter_context(launcher)
        return self._runner

    def _keep(self, outcome: Outcome, part: Part) -> None:
        self._outcomes.append(outcome)
        self._kept.add(id(outcome.trace))
        if self._recording is not None:
            self._recording.add(outcome)

    def _read(
        self, trace: Trace, probes: Iterable[Probe], objective: Objective | None
    ) -> tuple[Symptom, ...]:
        """The symptoms of a trace, each of which is read once; it is kept, so its id is its own."""
        if objective is None or id(trace) not in self._kept:
            return read_symptoms(trace, probes, objective)
        if id(trace) not in self._symptoms:
            self._symptoms[id(trace)] = read_symptoms(trace, probes, objective)
        return self._symptoms[id(trace)]

    def _can_run(self, treatment: Treatment) -> bool:
        spec = TrialSpec(0, treatment, self._request.seed_base)
        return self._replay is None or self._replay.has(spec)
