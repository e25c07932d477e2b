"""Which samples a model is trained on, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.probes.tap.observing import linear, observe, train

DATA = TensorDataset(torch.randn(40, 5), torch.randint(3, (40,)))


def anew() -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(DATA, 8)
    for _ in range(10):
        yield tuple(next(iter(loader)))  # type: ignore[misc]


def in_turn() -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(2):
        yield from DataLoader(DATA, 8, shuffle=True)


def sliced() -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(10):
        yield DATA.tensors[0][:8], DATA.tensors[1][:8]


def whole() -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(10):
        yield DATA.tensors[0], DATA.tensors[1]


@pytest.mark.parametrize(
    ("batches", "repeated", "same", "available"),
    [(anew, 1, 0, 5), (in_turn, 0, 0, 5), (sliced, 1, 0, 5), (whole, 1, 1, 1)],
)
def test_repeated_batches(
    batches: Callable[[], Iterator[tuple[Tensor, Tensor]]], repeated: int, same: int, available: int
) -> None:
    model = linear()
    trace = observe(lambda: train(model, batches(), functional.cross_entropy))
    (key,) = trace.places("batch.repeated")
    for name, value in (("repeated", repeated), ("same_object", same), ("available", available)):
        assert set(trace.signal("train", key, f"batch.{name}").values) == {value}, name
    if repeated == 0:
        assert set(trace.signal("train", key, "pairs.changed").values) == {0.0}


SORTED = TensorDataset(torch.randn(24, 5), torch.arange(3).repeat_interleave(8))


def in_order() -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(2):
        yield from DataLoader(SORTED, batch_size=8)


def one_slice_after_another() -> Iterator[tuple[Tensor, Tensor]]:
    inputs, labels = SORTED.tensors
    for start in range(0, 24, 8):
        yield inputs[start : start + 8], labels[start : start + 8]


def by_rows() -> Iterator[tuple[Tensor, Tensor]]:
    for rows in torch.arange(24).split(8):
        yield SORTED.tensors[0][rows], SORTED.tensors[1][rows]


def shuffled() -> Iterator[tuple[Tensor, Tensor]]:
    yield from DataLoader(SORTED, batch_size=8, shuffle=True)


def sampled() -> Iterator[tuple[Tensor, Tensor]]:
    yield from DataLoader(SORTED, batch_size=8, sampler=torch.randperm(24).tolist())


@pytest.mark.parametrize("batches", [in_order, one_slice_after_another, by_rows])
def test_batches_in_the_order_of_the_data(
    batches: Callable[[], Iterator[tuple[Tensor, Tensor]]],
) -> None:
    model = linear()
    trace = observe(lambda: train(model, batches(), functional.cross_entropy))
    (key,) = trace.places("order.level")
    levels = trace.signal("train", key, "order.level").values
    assert levels[:3] == sorted(set(levels)) and len(set(levels)) == 3
    found = {n: set(trace.signal("train", key, f"order.{n}").values) for n in ("rows", "kinds")}
    assert found == {"rows": {8.0}, "kinds": {1.0}}
    assert set(trace.signal("train", key, "order.spread").values) == {0.0}
    line = int(key.rpartition(":")[2]) - batches.__code__.co_firstlineno
    assert line in (2, 3)


@pytest.mark.parametrize("batches", [shuffled, sampled])
def test_batches_in_another_order(batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> None:
    model = linear()
    assert not observe(lambda: train(model, batches(), functional.cross_entropy)).places(
        "order.level"
    )
