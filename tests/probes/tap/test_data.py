"""What is told of inputs, labels and the calls of losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from probes.tap import Tap
from probes.tap.broadcasts import inflation
from probes.tap.fingerprints import Pairs, fingerprints
from probes.tap.inputs import input_statistics, outlying
from probes.tap.targets import fit
from probes.trace import Event, Trace

HERE = Path(__file__).parent
Loss = Callable[[Tensor, Tensor], Tensor]


def observe(program: Callable[[], None]) -> Trace:
    events: list[Event] = []
    tap = Tap(events.append, HERE)
    tap.install()
    try:
        program()
    finally:
        tap.close()
    return Trace.of(events)


def train(model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], loss: Loss) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for inputs, labels in batches:
        optimizer.zero_grad()
        loss(model(inputs), labels).backward()
        optimizer.step()


def classified(count: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(count):
        yield torch.randn(8, 5), torch.randint(3, (8,))


def measured(count: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(count):
        yield torch.randn(8, 5), torch.randn(8)


def linear(*after: nn.Module, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, outputs), *after)


def activated(model: nn.Module, loss: Loss) -> dict[str, float]:
    trace = observe(lambda: train(model, classified(), loss))
    found = {}
    for place in trace.places("loss.activated"):
        _, where, kind, name = place.split("|")
        where = where if where in trace.modules else "line"
        found[f"{where} {kind} {name}"] = max(trace.signal("train", place, "loss.activated").values)
    return found


def soft_rows(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(scores.softmax(-1).reshape(2, 4, 3).flatten(0, 1), labels)


def binary(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        torch.sigmoid(scores[:, 0]).squeeze(), (labels > 0).float()
    )


def by_hand(scores: Tensor, labels: Tensor) -> Tensor:
    shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return functional.cross_entropy(shares, labels)


@pytest.mark.parametrize(
    ("model", "loss", "found"),
    [
        (linear(nn.Softmax(-1)), functional.cross_entropy, "1 softmax cross_entropy"),
        (linear(nn.ReLU()), nn.CrossEntropyLoss(), "1 relu cross_entropy"),
        (linear(), soft_rows, "line softmax cross_entropy"),
        (linear(), binary, "line sigmoid binary_cross_entropy_with_logits"),
        (linear(nn.Softmax(-1)), nn.NLLLoss(), "1 softmax nll_loss"),
        (linear(), by_hand, "line probabilities cross_entropy"),
    ],
)
def test_the_activation_before_a_loss_is_found(model: nn.Module, loss: Loss, found: str) -> None:
    assert activated(model, loss)[found] == 1.0


def test_scores_are_no_logarithms() -> None:
    assert activated(linear(), functional.nll_loss)["line scores nll_loss"] == 1.0
    assert set(activated(linear(nn.LogSoftmax(-1)), nn.NLLLoss()).values()) == {0.0}


@pytest.mark.parametrize("after", [(), (nn.LogSoftmax(-1),), (nn.Softmax(-1), nn.Linear(3, 3))])
def test_raw_scores_are_fine(after: tuple[nn.Module, ...]) -> None:
    assert set(activated(linear(*after), functional.cross_entropy).values()) <= {0.0}


def broadcast(loss: Loss) -> list[float]:
    trace = observe(lambda: train(linear(outputs=1), measured(), loss))
    (line,) = trace.places("loss.broadcast") or [""]
    return trace.signal("train", line, "loss.inflation").values


@pytest.mark.parametrize(
    "loss",
    [
        functional.mse_loss,
        nn.SmoothL1Loss(),
        lambda said, wanted: ((said - wanted) ** 2).mean(),
        lambda said, wanted: (wanted - said).abs().sum() / 8,
        lambda said, wanted: torch.sub(said, wanted).square().mean().sqrt(),
        lambda said, wanted: (said[:, 0].square() * wanted[:, None]).mean(),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_shapes_that_are_broadcast(loss: Loss) -> None:
    assert broadcast(loss) == [8.0] * 4


@pytest.mark.parametrize(
    "loss",
    [
        lambda said, wanted: functional.mse_loss(said[:, 0], wanted),
        lambda said, wanted: ((said[:, 0] - wanted) ** 2).mean(),
        lambda said, wanted: ((said - said.T) ** 2).mean(),
        lambda said, wanted: ((said - wanted[None]) ** 2).mean(),
        lambda said, wanted: (said - wanted).square().amin(1).mean(),
        lambda said, wanted: (said - wanted[:3]).square().mean(),
    ],
    ids=["equal", "equal by hand", "pairs", "spelt out", "reduced", "other sizes"],
)
def test_shapes_that_are_meant(loss: Loss) -> None:
    assert set(broadcast(loss)) <= {1.0}


def test_inflation() -> None:
    one = torch.zeros(4, 1, requires_grad=True)
    assert inflation(one, torch.arange(4)) == inflation(torch.arange(4), one) == 4
    assert inflation(one, torch.ones(4)) == 1, "all targets alike"
    assert inflation(torch.rand(2, 1, 5, 5), torch.rand(2, 5, 5)) == 2
    assert inflation(one, torch.zeros(4, 1)) == inflation(one, torch.zeros(1, 1)) == 1
    assert inflation(torch.zeros(3), torch.zeros(5)) == 1


def test_input_statistics() -> None:
    rows = [[1.0, 300.0, 7.0], [3.0, 100.0, 7.0], [1.0, torch.nan, 7.0]]
    values = torch.tensor(rows * 3)
    found = {name: float(value) for name, value in input_statistics(values).items()}
    assert found["input.missing"] == pytest.approx(1 / 9)
    assert found["input.largest"] == pytest.approx(50_000**0.5)
    assert found["input.spread"] == pytest.approx(100 / (8 / 9) ** 0.5)
    assert input_statistics(values[:3])["input.spread"] == 1, "too few to tell"


def test_the_first_layer_is_looked_at_in_both_phases() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(5, 4), nn.Linear(4, 3))

    def program() -> None:
        for _ in range(3):
            model.train()
            train(model, classified(2), functional.cross_entropy)
            model.eval()
            with torch.no_grad():
                model(10 + torch.randn(50, 5))

    trace = observe(program)
    assert trace.places("input.mean") == trace.places("input.mean", "eval") == ["1"]
    assert min(trace.signal("eval", "1", "input.mean").values) > 9


@pytest.mark.parametrize("first", [nn.BatchNorm1d(5), nn.LayerNorm(5)])
def test_a_norm_at_the_door_scales_by_itself(first: nn.Module) -> None:
    model = nn.Sequential(first, nn.Linear(5, 3))
    trace = observe(lambda: train(model, classified(), functional.cross_entropy))
    assert not trace.places("input.mean")


def test_fit() -> None:
    target = torch.tensor([1.0, 2.0, 3.0, 6.0])
    assert float(fit(target, target)["target.unexplained"]) == 0.0
    said = torch.full((4,), 3.0)
    assert float(fit(said, target)["target.unexplained"]) == pytest.approx(1.0)
    found = fit(1000 * said[:, None], 1000 * target[:, None])
    assert float(found["target.unexplained"]) == pytest.approx(1.0)
    assert float(found["prediction.scale"]) == pytest.approx(3000)


@pytest.mark.parametrize(
    "loss", [nn.HuberLoss(), lambda said, wanted: (wanted - said).square().mean()]
)
def test_what_is_unexplained_is_told_for_any_regression(loss: Loss) -> None:
    model = nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))
    trace = observe(lambda: train(model, measured(), loss))
    (line,) = trace.places("target.unexplained")
    assert len(trace.signal("train", line, "target.unexplained")) == 4


def test_fingerprints_do_not_depend_on_the_batch() -> None:
    rows = torch.randn(64, 3, 7)
    order = torch.randperm(64)
    shuffled = fingerprints(rows[order])
    assert [shuffled[place] for place in order.argsort()] == fingerprints(rows)
    assert len(set(shuffled)) == 64
    assert fingerprints(rows[:, :, :1].expand(-1, -1, 7))[0] != fingerprints(rows)[0]


def test_pairs() -> None:
    pairs = Pairs()
    assert pairs.take([1.0, 2.0], [0.0, 1.0]) == {"pairs.revisited": 0.0}
    found = pairs.take([2.0, 1.0, 3.0], [0.0, 0.0, 5.0])
    assert (found["pairs.revisited"], found["pairs.changed"]) == (2.0, 0.5)
    assert (found["pairs.expected"], found["pairs.recurring"]) == (0.5, pytest.approx(2 / 3))
    assert pairs.take([1.0, 1.0, 2.0], [0.0, 1.0, 0.0]) == {}, "a sample that is there twice"


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


def test_tensors_that_cannot_be_read_are_left_alone() -> None:
    model = nn.Linear(5, 3)

    def loss(inputs: Tensor, label: Tensor) -> Tensor:
        scores = functional.linear(inputs, model.weight)
        return (
            functional.cross_entropy(scores.softmax(-1), label) + (scores - label).square().mean()
        )

    def program() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for inputs, labels in classified():
            each = torch.func.vmap(loss)(inputs[:, None], labels[:, None])
            sparse = torch.sparse.mm(inputs.to_sparse(), model.weight.T)
            spectrum = torch.fft.rfft(model(inputs)) - torch.randn(8, 2, dtype=torch.cfloat)
            (each.mean() + sparse.mean() + spectrum.abs().mean()).backward()
            optimizer.step()

    trace = observe(program)
    assert trace.steps == 4


def test_values_that_are_no_measurements() -> None:
    torch.manual_seed(0)
    values = torch.randn(200, 4)
    values[::20, 2] = -999.0
    values[3, 1] = torch.nan
    values[:, 3] = (torch.rand(200) < 0.1).float() * 1000  # Mostly zero: no usual deviation.
    found = outlying(values)
    assert found[:, 2].nonzero().flatten().tolist() == list(range(0, 200, 20))
    assert int(found.sum()) == 10
    told = input_statistics(values)
    assert float(told["input.outlying"]) == pytest.approx(0.05)
    assert int(told["input.column"]) == 2
    assert float(input_statistics(values[:, :2])["input.outlying"]) == 0
    assert int(input_statistics(values[:, :2])["input.column"]) == 1


def test_a_large_input_is_told_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values = torch.randn(200, 7) * torch.arange(1, 8)
    values[::20, 2], values[::25, 6], values[3, 1] = -999.0, -999.0, torch.nan
    whole = {name: float(value) for name, value in input_statistics(values).items()}
    monkeypatch.setattr("probes.tap.inputs._AT_ONCE", 400)
    parts = {name: float(value) for name, value in input_statistics(values).items()}
    assert parts == pytest.approx(whole) and whole["input.code"] == -999


def test_a_long_tail_is_made_of_measurements() -> None:
    torch.manual_seed(0)
    amounts = (3 * torch.randn(400, 3)).exp()
    spots = torch.exp(-((9 * torch.rand(400, 2) - 3) ** 2) / 0.5)
    faint = (-40 * torch.rand(400, 3)).exp()
    for values in (amounts, spots, faint, amounts.clamp(max=100)):
        middle = values.median(0).values
        usual = (values - middle).abs().median(0).values
        assert ((values - middle).abs() > 60 * usual).any()
        assert not outlying(values).any()


class Recurrent(nn.Module):
    """Reads (batch, time, 5); the hidden states come as (directions, batch, 4)."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(5, 4, bidirectional=True, batch_first=batch_first)
        self.head = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs, last = self.gru(inputs)
        if self.gru.batch_first:
            return self.head(last.view(inputs.shape[0], -1))
        return self.head(outputs[:, -1])


def read_sequences(model: nn.Module, samples: int, moments: int, labels: int) -> Trace:
    batches = [(torch.randn(samples, moments, 5), torch.randint(3, (labels,))) for _ in range(6)]
    return observe(lambda: train(model, iter(batches), functional.cross_entropy))


def test_samples_that_are_taken_for_moments() -> None:
    trace = read_sequences(Recurrent(batch_first=False), 6, 9, 6)
    assert set(trace.signal("train", "gru", "samples.in_time").values) == {1.0}
    assert not trace.places("samples.axis")


def test_samples_that_a_view_mixes() -> None:
    trace = read_sequences(Recurrent(batch_first=True), 6, 9, 6)
    assert not trace.places("samples.in_time")
    (line,) = trace.places("samples.axis")
    assert set(trace.signal("train", line, "samples.axis").values) == {1.0}
    assert trace.signal("train", line, "samples.axis").values


class Tagger(Recurrent):
    """Labels every moment of one sequence, as layers are given them without ``batch_first``."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.gru(inputs)[0].view(len(inputs), -1))


@pytest.mark.parametrize("samples", [1, 6])
def test_moments_along_the_first_axis_are_left_alone(samples: int) -> None:
    if samples == 1:
        trace = read_sequences(Tagger(batch_first=False), 9, 1, 9)
    else:  # As many moments as samples: nobody can tell.
        trace = read_sequences(Recurrent(batch_first=False), 6, 6, 6)
    assert 1.0 not in trace.signal("train", "gru", "samples.in_time").values
    assert not trace.places("samples.axis")


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
    (rows,) = (key for key in keys if "rows" in key)
    assert set(trace.signal("train", rows, "data.is_array").values) == {is_array}
    assert rows.endswith(f":{Kept.__getitem__.__code__.co_firstlineno}")
