"""Whether a data set is changed by reading its items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Subset

from tests.probes.tap.observing import linear, observe, train


class Kept(Dataset[tuple[Tensor, Tensor]]):
    """Rows and a label each, as a tensor or as an array."""

    def __init__(self, how: str) -> None:
        rows = torch.randn(24, 5)
        self.rows: Any = rows.numpy() if how == "array" else rows
        if how == "list":
            self.rows = list(rows)
        self.cache = torch.zeros(24, 5)
        self.how = how

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.rows[index]
        if self.how == "copied":
            row = row.clone()
        if self.how == "cached":
            self.cache[index] = row + 1
        else:
            row += 1
        return torch.as_tensor(row), torch.tensor(index % 3)


@pytest.mark.parametrize(
    ("how", "changed", "is_array"),
    [
        ("tensor", 1.0, 0.0),
        ("array", 1.0, 1.0),
        ("list", 1.0, 0.0),
        ("copied", 0.0, 0.0),
        ("cached", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("subset", [False, True])
def test_data_that_is_changed_by_reading_it(
    how: str, changed: float, is_array: float, subset: bool
) -> None:
    data: Dataset[tuple[Tensor, Tensor]] = Kept(how)
    if subset:
        data = Subset(data, range(16))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(6):
            yield from DataLoader(data, batch_size=8, shuffle=True)

    trace = observe(lambda: train(linear(), batches(), functional.cross_entropy))
    keys = trace.places("data.changed")
    assert {key.partition("|")[0] for key in keys} == {"Kept.rows", "Kept.cache"}
    told = {key.partition("|")[0]: trace.signal("train", key, "data.changed") for key in keys}
    assert set(told["Kept.rows"].values) == {changed} and set(told["Kept.cache"].values) == {0.0}
    (rows,) = (key for key in keys if key.startswith("Kept.rows|"))
    assert set(trace.signal("train", rows, "data.is_array").values) == {is_array}
    assert rows.endswith(f":{Kept.__getitem__.__code__.co_firstlineno}")
