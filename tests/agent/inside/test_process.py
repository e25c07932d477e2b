"""What a script sees, and how its end is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probes.trace import Trace

Trial = Callable[..., Trace]


def output(trace: Trace) -> list[str]:
    assert trace.ending is not None
    assert trace.ending.status == "completed", trace.ending
    return trace.ending.output_tail.splitlines()


def test_script_sees_what_python_would_show(trial: Trial) -> None:
    trace = trial(
        """
        import os, sys, __main__
        import multiprocessing
        print(__name__, os.path.basename(__file__), __spec__, __main__.__file__ == __file__)
        print(sys.argv)
        print(sys.path[0] == os.path.dirname(__file__) == os.getcwd())
        print(multiprocessing.current_process().name, multiprocessing.parent_process())
        print(repr(sys.stdin.read()), sys.stdout.isatty(), sys.stdout.name)
        print(open("data/x.txt").read())
        import neighbour
        multiprocessing.set_start_method("spawn")
        """,
        "--lr",
        "0.1",
        files={"data/x.txt": "relative", "neighbour.py": "print('neighbour')"},
    )
    assert output(trace) == [
        "__main__ train.py None True",
        "['train.py', '--lr', '0.1']",
        "True",
        "MainProcess None",
        "'' False <stdout>",
        "relative",
        "neighbour",
    ]


def test_modules_of_the_user_win_over_ours(trial: Trial) -> None:
    trace = trial(
        """
        import agent, probes.deep, remedies.one, workloads
        print(agent.WHO, probes.deep.WHO, remedies.one.WHO, workloads.WHO)
        """,
        files={
            "agent.py": "WHO = 'mine'",
            "probes/deep.py": "WHO = 'mine'",  # A folder without __init__.py counts, too.
            "remedies/__init__.py": "",
            "remedies/one.py": "WHO = 'mine'",
            "workloads.py": "WHO = 'mine'",
        },
    )
    assert output(trace) == ["mine mine mine mine"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_loader_workers_know_the_classes_of_the_script(trial: Trial, method: str) -> None:
    trace = trial(
        f"""
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Squares(Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, index):
                print("acc=0.5")
                return torch.tensor(float(open("data.txt").read()) * index)

        if __name__ == "__main__":
            loader = DataLoader(Squares(), 4, num_workers=2, multiprocessing_context="{method}")
            print([batch.tolist() for batch in loader])
        """,
        files={"data.txt": "2"},
    )
    assert "[[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0]]" in output(trace)
    assert not trace.metrics  # What workers print is not reported.


def test_loader_workers_talk_wherever_the_scratch_is(run_script, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80) / "train.py"
    deep.parent.mkdir()
    deep.write_text(
        "import tempfile, torch\n"
        "from torch.utils.data import DataLoader\n"
        "tempfile.gettempdir()\n"
        "print(len(list(DataLoader(torch.arange(8.0), num_workers=1))))\n"
    )
    trace = run_script(deep, base=deep.parent)
    assert trace.ending is not None and trace.ending.output_tail.split() == ["8"]


def test_a_class_of_the_script_can_be_pickled(trial: Trial) -> None:
    trace = trial(
        """
        import pickle
        class Model: pass
        print(type(pickle.loads(pickle.dumps(Model()))) is Model)
        """
    )
    assert output(trace) == ["True"]


@pytest.mark.parametrize(
    ("text", "status", "code", "message"),
    [
        ("pass", "completed", None, ""),
        ("import sys; sys.exit()", "completed", None, ""),
        ("import sys; sys.exit(3)", "exited", 3, "sys.exit(3)"),
        ("raise SystemExit('no data')", "exited", 1, "no data"),
        ("import os; os._exit(4)", "exited", 4, "exit code 4"),
        ("import os, signal; os.kill(os.getpid(), 11)", "killed", -11, "SIGSEGV"),
        ("raise KeyboardInterrupt", "raised", 1, "KeyboardInterrupt"),
        ("import nothing_like_this", "raised", 1, "ModuleNotFoundError: No module named"),
        ("x = (", "raised", 1, "SyntaxError: '(' was never closed"),
    ],
)
def test_ending(trial: Trial, text: str, status: str, code: int | None, message: str) -> None:
    ending = trial(text).ending
    assert ending is not None
    assert (ending.status, ending.exit_code) == (status, code)
    assert ending.message.startswith(message)


def test_exception_names_the_innermost_line_of_the_user(trial: Trial) -> None:
    trace = trial(
        "import parts.net\nparts.net.build()",
        files={"parts/net.py": "import torch\ndef build():\n    torch.zeros(2) @ torch.zeros(3)\n"},
    )
    ending = trace.ending
    assert ending is not None
    assert ending.source == "parts/net.py:3"
    assert ending.message.startswith("RuntimeError: ")
    assert "agent/inside" not in ending.output_tail
    assert ending.output_tail.startswith("Traceback (most recent call last):")


def test_exit_handlers_and_threads_have_their_say(trial: Trial) -> None:
    trace = trial(
        """
        import atexit, threading, time
        def late():
            time.sleep(0.2)
            print("late_acc=1")
        threading.Thread(target=late).start()
        atexit.register(lambda: print("exit_acc=2", end=""))
        """
    )
    assert {name: series.values for name, series in trace.metrics.items()} == {
        "late_acc": [1.0],
        "exit_acc": [2.0],
    }


def test_step_limit_stops_the_script(trial: Trial) -> None:
    trace = trial(
        """
        import torch
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        while True:
            try:
                net(torch.ones(4, 2)).sum().backward()
                optimizer.step()
            except Exception:
                pass
        """,
        max_steps=7,
    )
    assert trace.ending is not None
    assert (trace.ending.status, trace.ending.steps) == ("stopped", 7)


def test_threads_are_pinned_and_temporary_files_stay_in_scratch(trial: Trial) -> None:
    trace = trial(
        """
        import tempfile, torch
        print(torch.get_num_threads(), "scratch" in tempfile.mkdtemp())
        """,
        cpus=2,
    )
    assert output(trace) == ["2 True"]
