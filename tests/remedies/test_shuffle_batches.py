"""Batches are taken in another order in every epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from remedies import remedies

REMEDY = remedies["shuffle-batches"]
DATA = TensorDataset(torch.arange(40.0)[:, None], torch.arange(40.0)[:, None])


def test_slices_are_taken_in_another_order(treat: Any) -> None:
    pairs: list[tuple[list[float], list[float]]] = []

    def program() -> None:
        torch.manual_seed(0)
        values = DATA.tensors[0]
        inputs, labels = values[:32], values[:32] + 0.5  # Cut once: it is no batch.
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        for _ in range(3):
            for start in range(0, 32, 8):
                rows = inputs[start : start + 8]
                pairs.append((rows[:, 0].tolist(), labels[start : start + 8][:, 0].tolist()))
                model(rows).square().mean().backward()
                optimizer.step()
            with torch.no_grad():
                assert inputs[8:16, 0].tolist() == list(range(8, 16))

    line = program.__code__.co_firstlineno + 8
    _, trace = treat(program, (REMEDY.default(f"test_shuffle_batches.py:{line}"),))
    assert trace.applied
    assert all(other == [row + 0.5 for row in rows] for rows, other in pairs)
    rounds = [[row for rows, _ in pairs[n : n + 4] for row in rows] for n in (0, 4, 8)]
    everything = [float(row) for row in range(32)]
    assert rounds[0][:8] == everything[:8]
    assert rounds[1] != everything != rounds[2] != rounds[1]
    assert sorted(rounds[1]) == sorted(rounds[2]) == everything


def test_the_loader_of_a_line_shuffles(treat: Any) -> None:
    seen: list[list[float]] = []

    def program() -> None:
        torch.manual_seed(0)
        loader = DataLoader(DATA, 8, False)
        other = DataLoader(DATA, 8)
        for each in (loader, other):
            seen.append([row for inputs, _ in each for row in inputs[:, 0].tolist()])

    line = program.__code__.co_firstlineno + 2
    _, trace = treat(program, (REMEDY.default(f"test_shuffle_batches.py:{line}"),))
    assert len(trace.applied) == 1
    assert seen[0] != seen[1] == sorted(seen[0])
