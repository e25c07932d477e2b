"""Labels are told as the loss is given them, also where it raises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.labels import label_statistics
from probes.trace import Trace
from tests.probes.tap.observing import tapped


def observe(labels: Tensor) -> Trace:
    with tapped() as observed:
        model = nn.Linear(5, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        loss = nn.CrossEntropyLoss()(model(torch.randn(4, 5)), labels)
        loss.backward()
        optimizer.step()
    return observed.trace


def values(trace: Trace, name: str) -> list[float]:
    return [v for w in trace.places(name) for v in trace.signal("train", w, name).values]


def test_labels_of_a_loss() -> None:
    trace = observe(torch.tensor([0, 2, -100, 1]))
    assert values(trace, "label.classes") == [3.0]
    assert values(trace, "label.ignored") == [0.25]
    assert (values(trace, "label.lowest"), values(trace, "label.highest")) == ([0.0], [2.0])


def test_labels_of_a_loss_that_raises() -> None:
    with tapped() as observed:
        model = nn.Linear(5, 3)
        torch.optim.SGD(model.parameters(), lr=0.01)
        with pytest.raises(IndexError, match="Target 3 is out of bounds"):
            functional.cross_entropy(model(torch.randn(4, 5)), torch.tensor([0, 3, 1, 1]))
    trace = observed.trace
    assert (values(trace, "label.highest"), values(trace, "label.classes")) == ([3.0], [3.0])


@pytest.mark.parametrize(
    ("labels", "outside"), [([0.0, 1.0, 0.3, 0.9], 0.0), ([-1.0, 1.0, 1.0, -1.0], 0.5)]
)
def test_probabilities(labels: list[float], outside: float) -> None:
    found = label_statistics(
        "binary_cross_entropy_with_logits", torch.zeros(4), torch.tensor(labels)
    )
    assert found["label.outside"] == outside
    assert "label.classes" not in found


def test_nothing_but_ignored_labels() -> None:
    found = label_statistics("cross_entropy", torch.zeros(2, 3), torch.tensor([7, 7]), 7)
    assert found["label.ignored"] == 1 and "label.lowest" not in found


PADDED = torch.tensor([[3, 1, 2], [2, 0, 0], [1, 3, 0]])
LENGTHS = torch.tensor([3, 1, 2])


@pytest.mark.parametrize(
    ("labels", "lengths", "blank", "share"),
    [
        (PADDED, LENGTHS, 0, 0.0),
        (PADDED, LENGTHS, 1, 2 / 6),
        (torch.tensor([3, 1, 2, 2, 1, 3]), (3, 1, 2), 3, 2 / 6),
    ],
)
def test_the_blank_among_the_labels(
    labels: Tensor, lengths: tuple[int, ...] | Tensor, blank: int, share: float
) -> None:
    with tapped() as observed:
        model = nn.Linear(5, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        scores = model(torch.randn(8, 3, 5)).log_softmax(-1)
        steps = (8, 8, 8) if isinstance(lengths, tuple) else torch.tensor([8, 8, 8])
        nn.CTCLoss(blank=blank)(scores, labels, steps, lengths).backward()
        optimizer.step()
    assert values(observed.trace, "label.blank") == [pytest.approx(share)]
    assert values(observed.trace, "label.classes") == [4.0]
    assert values(observed.trace, "label.highest") == [3.0]
