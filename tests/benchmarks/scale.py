"""How many trials a second the controller sustains, and what a long trace of a large model weighs.

``python -m tests.benchmarks.scale [--slots 1,2,4,8,64] [--seconds 10] [--trials 5000]`` prints:

- for each number of slots, trials per second over the ideal (slots / seconds). The trials sleep on
  Ray instead of training, so that the machine's cores are not what is measured; they send events as
  often as real ones;
- the memory of this process before and after thousands of trials of no length;
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
from dataclasses import asdict
from pathlib import Path
from unittest import mock

from agent.inside.keeper import Keeper
from agent.launch import Launcher
from agent.snapshot import Snapshot
from agent.trace_file import write_trace
from agent.trials import Trials
from agent.workload import Outcome, TrialSpec, Workload
from probes.tap.cadence import is_probed
from probes.trace import Ending, Event, Trace
from remedies.treatment import Action

_SIGNALS = 12  # of each module at a probed step, about as many as the tap has
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

    def check(self, linked: object) -> str:
        """All is well."""
        return ""

    def use(self, snapshot: object) -> None:
        """There are no files."""

    def start(self, spec: TrialSpec) -> None:
        """Begin to sleep."""
        threading.Thread(target=self._sleep, daemon=True).start()

    def close(self) -> None:
        """There is nothing to end."""

    def _sleep(self) -> None:
        end = time.monotonic() + self._seconds
        step = 0
        while (left := end - time.monotonic()) > 0:
            self._events.put({"event": "progress", "step": (step := step + 1)})
            time.sleep(min(0.25, left))
        self._events.put({"event": "ending", **asdict(Ending("completed", steps=step))})


class Answering:
    """A launcher whose trials end at once, with a trace as a small model has it."""

    slots = 1

    def __init__(self) -> None:
        self._reports: list[tuple[int, Outcome]] = []

    def submit(self, spec: TrialSpec) -> None:
        """Have its outcome ready."""
        rows = [[f"net.{n}", "output.rms", 1.0] for n in range(50)]
        events: list[Event] = [
            {"event": "signals", "step": step, "phase": "train", "rows": rows}
            for step in range(100)
        ]
        trace = Trace.of([*events, {"event": "ending", "status": "completed", "steps": 100}])
        self._reports.append((spec.number, Outcome(spec, trace)))

    def cancel(self, number: int) -> None:
        """It has ended."""

    def poll(self) -> list[tuple[int, Outcome]]:
        """The outcome."""
        return [self._reports.pop()]


def rate(slots: int, seconds: float) -> float:
    """Trials per second over the ideal, with this many slots."""
    script = Path(__file__)
    snapshot = Snapshot.take(script.parent, script)
    workload = Workload(script=script, args=(str(seconds),), directory=script.parent)

    rounds = 3
    with (
        mock.patch("agent.hosts.Keeper", Sleeper),
        Launcher(snapshot, workload, slots) as launcher,
    ):
        began = time.monotonic()
        for number in range(rounds * slots):
            launcher.submit(TrialSpec(number))
        while launcher.pending:
            launcher.poll()
        return rounds * seconds / (time.monotonic() - began)


def memory_of_trials(count: int) -> tuple[float, float]:
    """MiB of this process after a tenth of so many trials, and after all."""
    trials = Trials(Answering(), lambda progress: None, lambda *_: None, ())
    early = 0.0
    for number in range(count):
        treatment = (Action(remedy="R301", name="lr", params={"factor": number}),)
        trials.run([(treatment, 0)], "search")
        if number == count // 10:
            early = resident()
    return early, resident()


def weight_of_a_trace() -> tuple[float, float]:
    """MiB in memory, and on disk."""
    chance = random.Random(0)
    before = resident()
    trace = Trace()
    for step in filter(is_probed, range(_STEPS)):
        rows = [
            [f"blocks.{module}", f"signal.{n}", chance.lognormvariate(0, 1)]
            for module in range(_MODULES)
            for n in range(_SIGNALS)
        ]
        trace.feed({"event": "signals", "step": step, "phase": "train", "rows": rows})
    held = resident() - before
    with tempfile.TemporaryDirectory() as name:
        write_trace(trace, Path(name))
        return held, sum(file.stat().st_size for file in Path(name).iterdir()) / 2**20


def resident() -> float:
    """Memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slots", default="1,2,4,8,64")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--trials", type=int, default=5000)
    asked = parser.parse_args()
    held, written = weight_of_a_trace()
    print(f"trace of {_MODULES} modules, {_STEPS} steps: {held:.0f} MiB, {written:.0f} on disk")
    early, late = memory_of_trials(asked.trials)
    print(
        f"memory after {asked.trials // 10} and {asked.trials} trials: {early:.0f}, {late:.0f} MiB"
    )
    for slots in map(int, asked.slots.split(",")):
        print(f"{slots} slots: {100 * rate(slots, asked.seconds):.0f} % of the ideal", flush=True)


if __name__ == "__main__":
    main()
