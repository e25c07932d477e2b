"""Trials on a real Ray, from outside: how they end, what they leave behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.errors import InfrastructureError
from agent.launch import Launcher
from agent.snapshot import Snapshot
from agent.trace_stream import read_stream
from agent.workload import Outcome, TrialSpec, Workload
from probes.trace import Event

pytestmark = pytest.mark.slow

Write = Callable[[str, str], Path]
MakeLauncher = Callable[..., Launcher]
Outcomes = Callable[..., list[Outcome]]

# The behaviour of trial number k: scripts cannot know their number, so they count in a file.
ENDINGS = """
    import os, signal, sys, time
    with open(sys.argv[1], "a") as file:
        file.write(".")
    turn = os.stat(sys.argv[1]).st_size
    print(f"turn_acc={turn}")
    if turn == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif turn == 2:
        while True:
            pass
    elif turn == 3:
        hog = bytearray(900 * 2**20)
        for start in range(0, len(hog), 4096):
            hog[start] = 1
        time.sleep(30)
    elif turn == 4:
        sys.exit(3)
    elif turn == 5:
        raise ValueError("no luck")
"""


def processes_of(marker: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        if marker in str(process.info["cmdline"]) or marker in str(process.info["environ"]):
            found.append(process)
    return found


def gone(marker: str, within: float = 5) -> bool:
    deadline = time.monotonic() + within
    while processes_of(marker) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not processes_of(marker)


def test_every_way_to_end_is_told_and_none_hurts_the_next(
    write: Write, launcher: MakeLauncher, outcomes: Outcomes, tmp_path: Path
) -> None:
    script = write("train.py", ENDINGS)
    with launcher(script, str(tmp_path / "turns"), timeout=4, memory=700 * 2**20) as started:
        found = outcomes(started, *(TrialSpec(number) for number in range(6)))
    endings = [outcome.trace.ending for outcome in found]
    assert [outcome.status for outcome in found] == [
        "killed", "timeout", "out-of-memory", "exited", "raised", "completed",
    ]  # fmt: skip
    assert [ending.message for ending in endings if ending] == [
        "SIGSEGV", "exceeded 4 s", "exceeded 700 MiB", "sys.exit(3)", "ValueError: no luck", "",
    ]  # fmt: skip
    assert [outcome.trace.metrics["turn_acc"].values for outcome in found] == [
        [1], [2], [3], [4], [5], [6],
    ]  # fmt: skip
    assert endings[4] is not None
    assert endings[4].source == "train.py:20"
    assert endings[4].output_tail.endswith("ValueError: no luck")
    assert found[1].seconds >= 4 > found[5].seconds


def test_events_come_while_the_trial_runs(
    write: Write, launcher: MakeLauncher, tmp_path: Path
) -> None:
    script = write(
        "train.py",
        """
        import os, sys, time
        for turn in range(5):
            print(f"turn_acc={turn}")
            while not os.path.exists(f"{sys.argv[1]}-{turn}"):
                time.sleep(0.01)
        """,
    )
    heard = tmp_path / "heard"
    turns = []
    with launcher(script, str(heard)) as started:
        started.submit(TrialSpec(0))
        while started.pending:
            for _, report in started.poll():
                if isinstance(report, dict) and report["event"] == "metric":
                    turns.append(report["value"])
                    heard.with_name(f"heard-{report['value']:.0f}").touch()
    assert turns == [0, 1, 2, 3, 4]


def test_cancelling_leaves_no_process(write: Write, launcher: MakeLauncher, tmp_path: Path) -> None:
    marker = f"marker-{tmp_path.name}-{os.getpid()}"
    script = write(
        "train.py",
        f"""
        import subprocess, sys, time
        from torch.utils.data import DataLoader
        workers = iter(DataLoader(range(100), num_workers=2))
        next(workers)
        code = "import time; time.sleep(60)"
        subprocess.Popen([sys.executable, "-c", code, "{marker}"])
        subprocess.Popen([sys.executable, "-c", code, "{marker}"], start_new_session=True)
        # Its parent ends at once, so that it is nobody's child.
        subprocess.run(["sh", "-c", f"setsid '{{sys.executable}}' -c '{{code}}' {marker} &"])
        time.sleep(0.5)
        print("ready=1")
        time.sleep(60)
        """,
    )
    with launcher(script) as started:
        started.submit(TrialSpec(0))
        started.submit(TrialSpec(1))
        started.cancel(1)  # Before it has begun.
        reports = []
        while started.pending:
            for number, report in started.poll():
                reports.append((number, report))
                if isinstance(report, dict) and report.get("name") == "ready":
                    assert len(processes_of(marker)) == 3
                    started.cancel(0)
        ended = {n: report.status for n, report in reports if isinstance(report, Outcome)}
        assert ended == {0: "cancelled", 1: "cancelled"}
        assert gone(marker)


def test_files_of_the_user_stay_as_they_are(
    write: Write,
    launcher: MakeLauncher,
    outcomes: Outcomes,
    contents: Callable[[], dict[str, str]],
) -> None:
    script = write(
        "src/train.py",
        """
        import mlflow, os, pathlib, shutil, torch
        mlflow.set_tracking_uri("sqlite:///mine.db")
        with mlflow.start_run():
            mlflow.log_metric("val_acc", 0.75)
        torch.save(torch.zeros(9), "src/checkpoint.pt")
        torch.save(torch.zeros(9), "big.pt")
        open("big.txt", "wb").write(b"new")
        pathlib.Path(__file__).write_text("")
        shutil.rmtree("data")
        os.mkdir("out")
        """,
    )
    write("data/a.txt", "a")
    write("big.pt", "x" * 5000)
    write("big.txt", "x" * 5000)
    before = contents()
    with launcher(script, large=4000) as started:
        [outcome] = outcomes(started, TrialSpec(0))
    assert outcome.status == "completed", outcome.trace.ending
    assert outcome.trace.metrics["val_acc"].values == [0.75]
    assert outcome.trace.metrics["val_acc"].source == "mlflow"
    assert contents() == before


def test_trials_run_side_by_side(
    write: Write, launcher: MakeLauncher, outcomes: Outcomes, tmp_path: Path
) -> None:
    """Each waits for the other: the second host comes late."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    script = write(
        "train.py",
        """
        import os, sys, time
        open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
        began = time.time()
        while len(os.listdir(sys.argv[1])) < 2 and time.time() < began + 40:
            time.sleep(0.02)
        print(f"present={len(os.listdir(sys.argv[1]))} waited={time.time() - began}")
        """,
    )
    with launcher(script, str(meeting), slots=2) as started:
        assert started.slots == 2
        found = outcomes(started, TrialSpec(0), TrialSpec(1))
    assert [outcome.trace.metrics["present"].values for outcome in found] == [[2], [2]]
    assert max(outcome.trace.metrics["waited"].values[0] for outcome in found) < 40


def test_what_a_trial_has_told_is_on_the_disk_while_it_runs(
    launcher: MakeLauncher, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.trace_stream._SECONDS", 0.0)
    go_on = tmp_path / "go-on"
    script = write(
        "train.py",
        """
        import os, sys, time
        print("acc=0.5", flush=True)
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.02)
        print("acc=0.75", flush=True)
        """,
    )
    with launcher(script, str(go_on), shelf=tmp_path / "shelf") as started:
        started.submit(TrialSpec(3))
        reports: list[Event | Outcome] = []
        while started.pending:
            reports += [report for _, report in started.poll()]
            if not go_on.exists() and any(isinstance(r, dict) and "value" in r for r in reports):
                under_way = read_stream(tmp_path / "shelf" / "3")
                assert under_way.metrics["acc"].values == [0.5] and under_way.ending is None
                go_on.touch()
    outcome = reports[-1]
    assert isinstance(outcome, Outcome) and outcome.place == tmp_path / "shelf" / "3"
    told = repr(vars(outcome.trace))
    outcome.put_away(tmp_path / "not-made")
    assert repr(vars(outcome.trace)) == told and not (tmp_path / "not-made").exists()
    assert outcome.trace.metrics["acc"].values == [0.5, 0.75]


def test_a_dead_cluster_is_told_at_once(project: Path, write: Write) -> None:
    script = write("train.py", "")
    workload = Workload(script=script, directory=project)
    with pytest.raises(InfrastructureError, match="no Ray cluster answers at 127.0.0.1:1"):
        with Launcher(Snapshot.take(project, script), workload, address="127.0.0.1:1"):
            pass


DRIVER = """
    import sys
    from pathlib import Path
    from agent.launch import Launcher
    from agent.snapshot import Snapshot
    from agent.workload import Outcome, TrialSpec, Workload

    script = Path(sys.argv[1])
    snapshot = Snapshot.take(script.parent, script)
    workload = Workload(script=script, directory=script.parent, args=(sys.argv[2],))
    with Launcher(snapshot, workload, slots=1) as launcher:
        launcher.submit(TrialSpec(0))
        while launcher.pending:
            for number, report in launcher.poll():
                if isinstance(report, dict) and report.get("name") == "ready":
                    assert "torch" not in sys.modules
                    print("ready", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_diagnosis_leaves_no_process(
    write: Write, tmp_path: Path, how: signal.Signals
) -> None:
    marker = f"marker-{tmp_path.name}-{os.getpid()}"
    script = write(
        "train.py",
        """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]])
        print("ready=1")
        time.sleep(60)
        """,
    )
    # A module of ours by name in the user's folder, where the controller runs, is no obstacle.
    write("agent.py", "raise RuntimeError")
    driver = tmp_path / "driver.py"
    driver.write_text("\n".join(line[4:] for line in DRIVER.splitlines()))
    environment = {**os.environ, "TEST_MARKER": marker, "TMPDIR": str(tmp_path)}
    environment.pop("RAY_ADDRESS", None)
    controller = subprocess.Popen(
        [sys.executable, str(driver), str(script), marker],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=script.parent,
    )
    assert controller.stdout is not None
    assert controller.stdout.readline() == "ready\n"
    assert len(processes_of(marker)) > 5
    controller.send_signal(how)
    controller.wait(30)
    assert gone(marker, within=30), processes_of(marker)


def test_other_files_are_run_for_a_while(launcher: MakeLauncher, outcomes: Outcomes, write: Write):
    script = write("train.py", "print('score_acc=1')\n")
    with launcher(script) as running:
        snapshot = Snapshot.take(script.parent, script)
        changed = snapshot.changed({"train.py": b"print('score_acc=2')\n"})
        with running.over(changed):
            (other,) = outcomes(running, TrialSpec(1))
        (own,) = outcomes(running, TrialSpec(2))
    found = [outcome.trace.metrics["score_acc"].values for outcome in (other, own)]
    assert found == [[2.0], [1.0]]
