"""What mixes the samples of a batch keeps them apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from remedies import remedies

REMEDY = remedies["keep-samples-apart"]


class Reader(nn.Module):
    """A GRU in both directions whose last states are put side by side, and weighed."""

    def __init__(self, batch_first: bool = True, right: bool = True, axis: int = 1) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, bidirectional=True, batch_first=batch_first)
        self.right, self.axis = right, axis

    def forward(self, inputs: Tensor) -> Tensor:
        states = self.states(self.gru(inputs)[1])
        return states * states.softmax(dim=self.axis)

    def states(self, last: Tensor) -> Tensor:
        if self.right:
            return last.movedim(1, 0).reshape(last.shape[1], -1)
        return last.view(last.shape[1], -1)


def read_with(model: nn.Module) -> list[Tensor]:
    told: list[Tensor] = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        scores = model(torch.arange(60.0).view(5, 4, 3) / 60)
        functional.cross_entropy(scores, torch.arange(5)).backward()
        optimizer.step()
        told.append(scores.detach())
    return told


VIEW = f"test_keep_samples_apart.py:{Reader.states.__code__.co_firstlineno + 3}"
SOFTMAX = f"test_keep_samples_apart.py:{Reader.forward.__code__.co_firstlineno + 2}"


@pytest.mark.parametrize(
    ("wrong", "target"),
    [({"batch_first": False}, "gru"), ({"right": False}, VIEW), ({"axis": 0}, SOFTMAX)],
)
def test_samples_are_kept_apart(treat: Any, wrong: dict[str, Any], target: str) -> None:
    def program(**how: Any) -> list[Tensor]:
        torch.manual_seed(0)
        return read_with(Reader(**how))

    wanted = program()
    found, trace = treat(lambda: program(**wrong), (REMEDY.default(target),))
    assert [event["target"] for event in trace.applied] == [target]
    assert all(one.equal(other) for one, other in zip(found, wanted, strict=True))
