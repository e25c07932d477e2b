"""Epochs over a data loader can be shortened."""

from collections.abc import Callable

from probes.trace import Trace

Trial = Callable[..., Trace]


def test_every_pass_over_a_loader_is_shortened(trial: Trial) -> None:
    trace = trial(
        """
        import torch
        from torch.utils.data import DataLoader
        loader = DataLoader(torch.arange(100.0), batch_size=4, num_workers=2)
        short = DataLoader(torch.arange(8.0), batch_size=4)
        for epoch in range(2):
            print(len(list(loader)), len(loader), len(list(short)), len(short))
        """,
        max_batches=5,
    )
    assert trace.ending is not None
    assert trace.ending.output_tail.split() == ["5", "5", "2", "2"] * 2
    assert not trace.notes


def test_a_script_without_a_loader_is_told_of(trial: Trial) -> None:
    trace = trial("print(1)", max_batches=5)
    assert trace.notes == [
        "--max-batches-per-epoch has no effect: the script uses no torch DataLoader"
    ]
