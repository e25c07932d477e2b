"""How many trials a second the controller sustains, and what a long trace of a large model weighs.

``python -m tests.benchmarks.scale [--slots 1 2 4 8 64] [--seconds 10] [--trials 5000]`` prints:

- for each number of slots, trials per second over the ideal (slots / seconds). The hosts are Ray's,
  and their trials sleep instead of training, so that the machine's cores are not what is measured,
  but tell as much as a small model; they are asked for by a study, judged by all probes, and
  recorded in MLflow. The start of the hosts is left out. With ``--alone``, nothing is judged;
- the memory of this process before and after thousands of trials that end at once, with study,
  judgement and record, but an MLflow that keeps nothing;
- the memory and the size on disk of a trace of 1,000 modules over 100,000 steps.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from agent.assessment import read_symptoms
from agent.candidate import Candidate
from agent.hearing import Hearing
from agent.inside.keeper import Keeper
from agent.launch import Launcher
from agent.ledger import Ledger
from agent.request import Request
from agent.snapshot import Snapshot
from agent.study import Study
from agent.trace_file import write_trace
from agent.trace_stream import TraceStream
from agent.trials import Runner, Trials
from agent.workload import Outcome, TrialSpec, Workload
from probes import probes
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.tap.cadence import is_probed
from probes.trace import Event, Trace
from remedies.space import Range
from remedies.treatment import CONTROL, Action

_SIGNALS = 12  # of each module at a probed step, about as many as the tap has
_PLACES = 15  # of a small model: with its signals, the size of the median trace of the corpus
_PROBED = 90  # steps
_ROUND = 50  # trials of a search
_AWAKE = 1  # step limit of a trial that is there to have a host started
_MODULES = 1_000
_STEPS = 100_000


class Sleeper(Keeper):
    """Stands in for the keeper of a host: its trials sleep, and tell of it.

    Args:
        snapshot: Is not looked at.
        workload: Its argument is how many seconds each trial takes.
        environment: Is not looked at.
    """

    def __init__(self, snapshot: object, workload: Workload, environment: object) -> None:
        self._seconds = float(workload.args[0])
        self._events = queue.SimpleQueue()
        self._told = list(events_of_a_run(random.Random()))

    def check(self, linked: object) -> str:
        """All is well."""
        return ""

    def use(self, snapshot: object) -> None:
        """There are no files."""

    def start(self, spec: TrialSpec) -> None:
        """Begin to sleep."""
        given = (1.0, self._told[-1:]) if spec.max_steps == _AWAKE else (self._seconds, self._told)
        threading.Thread(target=self._sleep, args=given, daemon=True).start()

    def close(self) -> None:
        """There is nothing to end."""

    def _sleep(self, seconds: float, told: list[Event]) -> None:
        end = time.monotonic() + seconds
        *run, ending = told
        while run or time.monotonic() < end:
            share = min(max(0.0, 1 - (end - time.monotonic()) / seconds), 1.0)
            rest = len(told) - round(share * len(told))
            while len(run) > rest:
                self._events.put(run.pop(0))
            time.sleep(max(0.0, min(0.25, end - time.monotonic())))
        self._events.put(ending)


class Answering:
    """A launcher whose trials end at once, each with a trace of its own as a small model has it."""

    slots = 2

    def __init__(self) -> None:
        self._reports: deque[tuple[int, Event | Outcome]] = deque()
        self._chance = random.Random(0)

    def submit(self, spec: TrialSpec) -> None:
        """Have its outcome ready."""
        trace = Trace()
        for event in events_of_a_run(self._chance):
            trace.feed(event)
            if event["event"] == "metric":
                self._reports.append((spec.number, event))
        self._reports.append((spec.number, Outcome(spec, trace, time.time(), 1.0)))

    def cancel(self, number: int) -> None:
        """It has ended."""

    def poll(self) -> list[tuple[int, Event | Outcome]]:
        """What has been reported, up to an outcome."""
        found = [self._reports.popleft()]
        while self._reports and not isinstance(found[-1][1], Outcome):
            found.append(self._reports.popleft())
        return found


def events_of_a_run(chance: random.Random) -> Iterator[Event]:
    """What a small model tells, with noise for numbers: as much as the median of the corpus."""
    for n in range(_PLACES):
        yield {"event": "module", "where": f"net.{n}", "type": "Linear", "source": "train.py:9"}
    yield {"event": "applied", "remedy": "R301", "target": "", "detail": "done"}
    places = [(f"net.{n}", f"signal.{s}") for n in range(_PLACES) for s in range(_SIGNALS)]
    for step in range(_PROBED):
        rows = [[*place, chance.random()] for place in places]
        rows.append(["loss", "loss.value", chance.random()])
        yield {"event": "signals", "step": step, "phase": "train", "rows": rows}
        yield {"event": "metric", "step": step, "name": "val_acc", "value": chance.random()}
    tail = "".join(f"epoch {n} {chance.random()}\n" for n in range(100))
    yield {"event": "ending", "status": "completed", "steps": _PROBED, "output_tail": tail}


class _Nothing(list[object]):
    token = None


class Nowhere:
    """Stands in for MLflow's client, which keeps nothing."""

    def create_run(self, *_: object, **given: object) -> SimpleNamespace:
        """A run of a new name."""
        return SimpleNamespace(info=SimpleNamespace(run_id=uuid.uuid4().hex))

    def get_experiment_by_name(self, name: str) -> SimpleNamespace:
        """There is every one."""
        return SimpleNamespace(experiment_id="1", lifecycle_stage="active")

    def __getattr__(self, name: str) -> Callable[..., _Nothing]:
        return lambda *_, **given: _Nothing()


def rate(slots: int, seconds: float, alone: bool, rounds: int = 9) -> tuple[float, float]:
    """Trials per second over the ideal, and ms of CPU of this process for each trial.

    Args:
        slots: Trials at a time.
        seconds: That each takes.
        alone: Whether only the launcher is measured: nothing is searched, judged or recorded.
        rounds: How often all slots are used: in the first and the last one, not all are at work.
    """
    script = Path(__file__)
    snapshot = Snapshot.take(script.parent, script)
    workload = Workload(script=script, args=(str(seconds),), directory=script.parent)
    with tempfile.TemporaryDirectory() as name, mock.patch("agent.hosts.Keeper", Sleeper):
        folder = Path(name)
        with Launcher(snapshot, workload, slots, shelf=folder / "shelf") as launcher:
            numbers = count(10**6)
            while not launcher._fleet or launcher._fleet.ready < slots:  # That is not measured.
                while len(launcher.pending) < 2 * slots:
                    launcher.submit(TrialSpec(next(numbers), max_steps=_AWAKE))
                launcher.poll()
            while launcher.pending:
                launcher.poll()
            if alone:
                began, spent = time.monotonic(), time.process_time()
                for _ in range(rounds * slots):
                    launcher.submit(TrialSpec(next(numbers)))
                while launcher.pending:
                    launcher.poll()
                took, spent = time.monotonic() - began, time.process_time() - spent
            else:
                with session(launcher, folder) as (hearing, trials):
                    began, spent = time.monotonic(), time.process_time()
                    search(hearing, trials, folder, 0, rounds * slots)
                    took, spent = time.monotonic() - began, time.process_time() - spent
    return rounds * seconds / took, 1000 * spent / (rounds * slots)


@contextmanager
def session(runner: Runner, folder: Path) -> Iterator[tuple[Hearing, Trials]]:
    """What a controller has: a ledger, trials that all probes read, and the control."""
    ledger = Ledger(None, "scale", folder)
    ledger.start(Request(workload=Workload(script=folder / "train.py", directory=folder)))
    trials = Trials(
        runner, lambda progress: None, ledger.record, (), read=_read, shelf=folder / "shelf"
    )
    trials.objective = Objective(name="val_acc", mode="max")
    trials.run([(CONTROL, 0)], "observe")
    yield Hearing(trials, 0, float("inf")), trials
    ledger.close()


def memory_of_trials(trials_in_all: int) -> tuple[float, float, float]:
    """MiB of this process after a tenth of so many trials and after all, and ms of CPU for each."""
    early = 0.0
    with tempfile.TemporaryDirectory() as name, mock.patch("agent.ledger.book.connect") as connect:
        connect.return_value = Nowhere()
        with session(Answering(), Path(name)) as (hearing, trials):
            began = time.process_time()
            for number in range(0, trials_in_all, _ROUND):
                if number >= trials_in_all // 10 and not early:
                    early = resident()
                search(hearing, trials, Path(name), number, _ROUND)
            spent = time.process_time() - began
        return early, resident(), 1000 * spent / trials_in_all


def search(hearing: Hearing, trials: Trials, folder: Path, number: int, most: int) -> None:
    """One search as a session has it, over ten remedies with a number each."""
    assert trials.objective is not None
    candidates = [
        Candidate(
            Action(remedy="R301", name="scale-learning-rate", target=f"{number}-{n}"),
            {"factor": Range(0.001, 1000.0, default=1.0, log=True)},
        )
        for n in range(10)
    ]
    control = trials.objective.series(trials.controls[0].trace)
    study = Study(
        f"round-{number}", candidates, trials.objective, folder / "studies.log", control=control
    )
    hearing.run(study, most, lambda treatment: False)


def _read(trace: Trace, _: Iterable[Probe], objective: Objective | None) -> tuple[Symptom, ...]:
    """Five symptoms, found with the labour of all probes."""
    read_symptoms(trace, probes, objective)
    evidence = {f"number-{n}": random.random() for n in range(6)}
    return tuple(
        Symptom(
            code=f"P10{n}",
            name="made-up",
            severity=0.9,
            where=f"net.{n}",
            source="train.py:9",
            step=7,
            evidence=evidence,
            message=f"what the probe has found at net.{n}, in a sentence of {random.random()}",
        )
        for n in range(1, 6)
    )


def weight_of_a_trace() -> str:
    """What a long trace of a large model weighs in memory and on disk, and costs."""
    chance = random.Random(0)
    places = [(f"blocks.{m}", f"signal.{n}") for m in range(_MODULES) for n in range(_SIGNALS)]
    before, trace = resident(), Trace()
    with tempfile.TemporaryDirectory() as name:
        folder, half, spent = Path(name), 0.0, 0.0
        stream = TraceStream(folder / "streamed")
        for step in filter(is_probed, range(_STEPS)):
            rows = [[*place, chance.lognormvariate(0, 1)] for place in places]
            event = {"event": "signals", "step": step, "phase": "train", "rows": rows}
            trace.feed(event)
            began = time.process_time()
            stream.feed(event)
            spent += time.process_time() - began
            half = half if step > _STEPS / 2 else size(folder / "streamed")
        stream.close()
        held = resident() - before
        points = sum(len(series) for series in trace.signals.values())
        (folder / "whole").mkdir()
        write_trace(trace, folder / "whole")
        return (
            f"{points:,} points: {held:.0f} MiB in memory; on disk as they come "
            f"{size(folder / 'streamed'):.0f} MiB, {half:.0f} of them half-way, at "
            f"{1e6 * spent / points:.2f} us a point; in the record {size(folder / 'whole'):.0f} MiB"
        )


def size(folder: Path) -> float:
    """MiB of the files in a folder."""
    return sum(file.stat().st_size for file in folder.glob("*")) / 2**20


def resident() -> float:
    """Memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slots", type=int, nargs="*", default=[1, 2, 4, 8, 64])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--brief", action="store_true", help="leave the long trace out")
    parser.add_argument("--alone", action="store_true", help="only the launcher: nothing is judged")
    asked = parser.parse_args()
    if not asked.brief:
        print(f"trace of {_MODULES} modules, {_STEPS} steps, {weight_of_a_trace()}", flush=True)
    if asked.trials:
        early, late, each = memory_of_trials(asked.trials)
        print(
            f"memory after {asked.trials // 10} and {asked.trials} trials: "
            f"{early:.0f}, {late:.0f} MiB; {each:.0f} ms of CPU for each"
        )
    for slots in asked.slots:
        share, each = rate(slots, asked.seconds, asked.alone)
        line = f"{slots} slots: {100 * share:.1f} % of the ideal, {each:.1f} ms of CPU for each"
        print(line, flush=True)


if __name__ == "__main__":
    main()
