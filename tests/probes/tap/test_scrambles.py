"""What is told of scores that a reshape mixed before the loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.trace import Trace
from tests.probes.tap.observing import tapped

Loss = Callable[[Tensor, Tensor], Tensor]


def observe(loss: Loss, model: Callable[[Tensor], Tensor], parameters: nn.Module) -> Trace:
    with tapped() as observed:
        optimizer = torch.optim.SGD(parameters.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            loss(model(torch.randn(4, 7, 5)), torch.randint(3, (4, 7))).backward()
            optimizer.step()
    return observed.trace


def mixed_functionally(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.cross_entropy(scores.view(4, 3, 7), tags)


def mixed_for_a_module(scores: Tensor, tags: Tensor) -> Tensor:
    scores = scores.log_softmax(-1)
    return nn.NLLLoss()(torch.reshape(scores, (4, 3, 7)), tags)


def line_of(loss: Loss, behind: int) -> str:
    return f"{Path(__file__).name}:{loss.__code__.co_firstlineno + behind}"


def values(trace: Trace, where: str) -> dict[str, list[float]]:
    return {
        name.removeprefix("scramble."): trace.signal("train", where, name).values
        for _, place, name in trace.signals
        if place == where and name.startswith(("scramble.", "loss.scrambled"))
    }


@pytest.mark.parametrize(("loss", "behind"), [(mixed_functionally, 1), (mixed_for_a_module, 2)])
@pytest.mark.parametrize("compiled", [False, True])
def test_scores_that_are_mixed(loss: Loss, behind: int, compiled: bool) -> None:
    torch._dynamo.reset()
    model = nn.Linear(5, 3)
    trace = observe(loss, torch.compile(model, backend="eager") if compiled else model, model)
    line = line_of(loss, behind)
    assert values(trace, f"{line}|{line}") == {"loss.scrambled": [1.0] * 4}
    assert values(trace, line) == {
        "classes": [3.0] * 4,
        "axis": [-1.0] * 4,
        "dims": [3.0] * 4,
        "same": [1.0] * 4,
        "last": [1.0] * 4,
    }


def test_the_reshape_may_be_in_the_model() -> None:
    class Head(nn.Linear):
        def forward(self, words: Tensor) -> Tensor:
            return super().forward(words.flatten(0, 1)).view(4, 3, 7)

    model = Head(5, 3)
    trace = observe(nn.CrossEntropyLoss(), model, model)
    place = line_of(Head.forward, 1)
    assert trace.places("loss.scrambled") == [f"{line_of(observe, 5)}|{place}"]
    assert values(trace, place)["same"] == [0.0] * 4


@pytest.mark.parametrize(
    "loss",
    [
        lambda scores, tags: functional.cross_entropy(scores.transpose(1, 2), tags),
        lambda scores, tags: functional.cross_entropy(scores.view(-1, 3), tags.view(-1)),
        lambda scores, tags: functional.cross_entropy(
            input=scores.view(4, 3, 7), target=torch.ones(4, 3, 7)
        ),
    ],
    ids=["transposed", "flattened", "no labels"],
)
def test_scores_that_are_not(loss: Loss) -> None:
    model = nn.Linear(5, 3)
    trace = observe(loss, model, model)
    assert not trace.places("scramble.classes")
    found = {v for p in trace.places("loss.scrambled") for v in values(trace, p)["loss.scrambled"]}
    assert found <= {0.0}
