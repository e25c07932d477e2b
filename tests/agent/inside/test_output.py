from collections.abc import Callable

from probes.trace import Trace

Trial = Callable[..., Trace]


def test_lines_are_read_however_they_are_written(trial: Trial) -> None:
    trace = trial(
        """
        import logging, sys
        print("a_acc=1", end=" ")
        print("b_acc=2")
        sys.stdout.write("c_acc=3\\rc_acc=4\\n")
        logging.basicConfig(level=logging.INFO)
        logging.info("d_acc=5")
        print("e_acc=6", file=sys.stderr, flush=True)
        sys.stdout.write("f_acc=7")
        """
    )
    values = {name: series.values for name, series in trace.metrics.items()}
    assert values == {
        "a_acc": [1],
        "b_acc": [2],
        "c_acc": [3, 4],
        "d_acc": [5],
        "e_acc": [6],
        "f_acc": [7],
    }


def test_metrics_carry_the_step(trial: Trial) -> None:
    trace = trial(
        """
        import torch
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            net(torch.ones(4, 2)).sum().backward()
            optimizer.step()
            print("loss=1")
        """
    )
    assert trace.metrics["loss"].steps == [1, 2, 3]


def test_streams_are_real_ones(trial: Trial) -> None:
    trace = trial(
        """
        import os, sys
        sys.stdout.buffer.write(b"bytes\\n"); sys.stdout.flush()
        os.write(sys.stdout.fileno(), b"descriptor\\n")
        sys.stdout.reconfigure(line_buffering=False)
        os.system("echo child")
        print("\\udce9")
        print("x" * 100_000)
        sys.stdout.close()
        """
    )
    assert trace.ending is not None
    assert trace.ending.status == "completed"
    lines = trace.ending.output_tail.splitlines()
    assert lines[:4] == ["bytes", "descriptor", "child", "\\udce9"]
    assert len(lines[4]) == 100_000


def test_a_script_that_prints_nothing(trial: Trial) -> None:
    trace = trial("pass")
    assert trace.ending is not None
    assert (trace.ending.output_tail, trace.metrics) == ("", {})
