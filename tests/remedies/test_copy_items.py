"""What a data set keeps is not changed by reading it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from remedies import remedies

ACTION = remedies["copy-items"].default("Jittered.rows")


class Jittered(Dataset[Tensor]):
    """Adds one to a row when it is read, in place."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Tensor:
        row = self.rows[index]
        row += 1
        return torch.as_tensor(row)


@pytest.mark.parametrize(
    "rows",
    [
        lambda: torch.zeros(6, 2),
        lambda: numpy.zeros((6, 2), "float32"),
        lambda: [torch.zeros(2) for _ in range(6)],
    ],
)
def test_what_a_data_set_keeps_is_put_back(treat: Any, rows: Callable[[], Any]) -> None:
    def program() -> list[float]:
        torch.manual_seed(0)
        loader = DataLoader(Subset(Jittered(rows()), range(4)), batch_size=2, shuffle=True)
        return [float(batch.max()) for _ in range(3) for batch in loader]

    found, trace = treat(program, (ACTION,))
    assert found == [1.0] * 6 and program() == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert [event["target"] for event in trace.applied] == ["Jittered.rows"]
