"""Remedies at the calls of losses, at the model's door and at the loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from probes import Symptom
from remedies import Action, remedies

Loss = Callable[[Tensor, Tensor], Tensor]


def action(name: str, target: str = "loss", **params: Any) -> Action:
    default = remedies[name].default(target)
    return default.model_copy(update={"params": default.params | params})


def trained(loss: Loss, outputs: int = 3, after: tuple[nn.Module, ...] = ()) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, outputs), *after)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(6):
        inputs, labels = torch.randn(8, 5), torch.randint(3, (8,))
        optimizer.zero_grad()
        loss(model(inputs), labels).backward()
        optimizer.step()
    return model


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def softmax(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(scores.softmax(-1)[None].squeeze(0), labels)


def shares(scores: Tensor, labels: Tensor) -> Tensor:
    exponential = scores.exp()
    return functional.cross_entropy(exponential / exponential.sum(-1, keepdim=True), labels)


def picked(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.nll_loss(torch.softmax(scores, 1), labels)


def unpicked(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.nll_loss(scores, labels)


@pytest.mark.parametrize("loss", [softmax, shares, picked])
def test_the_loss_is_given_what_it_takes(treat: Any, loss: Loss) -> None:
    wanted = trained(functional.cross_entropy)
    model, trace = treat(lambda: trained(loss), (action("drop-activation"),))
    assert same(model, wanted) and not same(trained(loss), wanted)
    assert [event["target"] for event in trace.applied] == ["loss"]
    seen = [v for place in trace.places("loss.activated") for v in
            trace.signal("train", place, "loss.activated").values]  # fmt: skip
    assert not any(seen), "what is measured is what is trained on"


def test_the_rest_of_the_program_sees_the_activation(treat: Any) -> None:
    outputs = []

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        outputs.append(scores.detach())
        return functional.cross_entropy(scores, labels)

    model, _ = treat(lambda: trained(loss, after=(nn.Softmax(1),)), (action("drop-activation"),))
    assert same(model, trained(functional.cross_entropy))
    assert all(torch.allclose(output.sum(1), torch.ones(8)) for output in outputs)


def test_a_sigmoid_and_a_relu_in_place(treat: Any) -> None:
    def wanted(scores: Tensor, labels: Tensor) -> Tensor:
        target = functional.one_hot(labels, 3).float()
        return functional.binary_cross_entropy_with_logits(scores, target)

    for after in (nn.Sigmoid(), nn.ReLU(inplace=True)):
        model, _ = treat(lambda a=after: trained(wanted, after=(a,)), (action("drop-activation"),))
        assert same(model, trained(wanted))


@pytest.mark.parametrize(
    "loss",
    [functional.cross_entropy, lambda said, y: functional.nll_loss(said.log_softmax(1), y)],
)
def test_a_loss_that_is_right_is_left_alone(treat: Any, loss: Loss) -> None:
    model, trace = treat(lambda: trained(loss), (action("drop-activation"),))
    assert not trace.applied and same(model, trained(loss))


def aligned(said: Tensor, wanted: Tensor) -> Tensor:
    return functional.mse_loss(said[:, 0], wanted.float())


@pytest.mark.parametrize(
    "loss",
    [
        lambda said, wanted: functional.mse_loss(said, wanted.float()),
        lambda said, wanted: nn.MSELoss()(input=said, target=wanted.float()),
        lambda said, wanted: ((said - wanted.float()) ** 2).mean(),
        lambda said, wanted: (wanted - said).square().mean(),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_targets_get_the_shape_of_predictions(treat: Any, loss: Loss) -> None:
    wanted = trained(aligned, 1)
    model, trace = treat(lambda: trained(loss, 1), (action("align-shapes"),))
    assert same(model, wanted) and not same(trained(loss, 1), wanted)
    assert trace.applied[0]["detail"] == "target (8,) now (8, 1)"


def test_pairs_on_purpose_are_left_alone(treat: Any) -> None:
    def loss(said: Tensor, wanted: Tensor) -> Tensor:
        return (said - said.T).square().mean() + (said[:, 0] - wanted).square().mean()

    model, trace = treat(lambda: trained(loss, 1), (action("align-shapes"),))
    assert not trace.applied and same(model, trained(loss, 1))


def scaled(scale: Tensor, shift: float = 0.0) -> Callable[[], nn.Module]:
    def program() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv1d(2, 4, 1), nn.Flatten(), nn.Linear(20, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(8):
            model.train()
            inputs = torch.randn(16, 2, 5) * scale[:, None] + shift
            optimizer.zero_grad()
            model(inputs).square().mean().backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            model.unscaled = model[0](torch.randn(400, 2, 5))
            model.scaled = model[0](torch.randn(400, 2, 5) * scale[:, None] + shift)
        return model

    return program


def test_inputs_of_any_scale_train_alike(treat: Any) -> None:
    treatment = (action("standardise-inputs", "0"),)
    one, trace = treat(scaled(torch.tensor([1.0, 1.0])), treatment)
    other, _ = treat(scaled(torch.tensor([300.0, 1e-3]), 50.0), treatment)
    # A thousandth beside 50 is as exact as single precision allows.
    assert torch.allclose(one[0].weight[:, 0], other[0].weight[:, 0], atol=1e-3)
    assert [event["target"] for event in trace.applied] == ["0"]


def test_evaluation_can_have_its_own_statistics(treat: Any) -> None:
    program = scaled(torch.tensor([1.0, 1.0]))
    shared, _ = treat(program, (action("standardise-inputs", "0", statistics="shared"),))
    own, _ = treat(
        scaled(torch.tensor([3.0, 3.0])), (action("standardise-inputs", "0", statistics="own"),)
    )
    assert torch.allclose(own.unscaled.std(), shared.unscaled.std(), rtol=0.1)


def test_what_is_missing_becomes_the_mean(treat: Any) -> None:
    def program() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            inputs = torch.randn(8, 3)
            inputs[0, 1], inputs[:, 2] = torch.nan, 4.0
            model(inputs).square().mean().backward()
            optimizer.step()
        return model

    model, trace = treat(program, (action("standardise-inputs", "0"),))
    assert trace.applied and bool(model[0].weight.isfinite().all())


def test_codes_do_not_count_and_are_limited(treat: Any) -> None:
    given: list[Tensor] = []

    def program(code: float) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            inputs = 4 + 2 * torch.randn(64, 3)
            inputs[:3, 1] = code
            model(inputs).square().mean().backward()
            optimizer.step()
        model[0].register_forward_pre_hook(lambda _, args: given.append(args[0]))
        model(inputs)
        return model

    treat(lambda: program(-999.0), (action("standardise-inputs", "0"),))
    coded = given[-1][:, 1]
    assert coded[:3].tolist() == [-5.0] * 3
    assert float(coded[3:].std()) == pytest.approx(1.0, abs=0.15)
    assert float(coded[3:].mean()) == pytest.approx(0.0, abs=0.15)


def test_a_code_is_known_in_the_batches_that_have_it_once(treat: Any) -> None:
    given: list[Tensor] = []

    def program() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(12):
            inputs = torch.randn(64, 2)
            inputs[: 3 if step == 6 else 1, 1] = -999.0
            model(inputs).square().mean().backward()
            optimizer.step()
        model[0].register_forward_pre_hook(lambda _, args: given.append(args[0]))
        model(inputs)
        return model

    _, trace = treat(program, (action("standardise-inputs", "0"),))
    assert float(given[-1][1:, 1].std()) == pytest.approx(1.0, abs=0.2)
    # What the layer takes in is told, not what it was given.
    assert trace.signal("train", "0", "input.largest").values[-1] < 2
    assert trace.signal("train", "0", "input.outlying").values[-1] == 0


def test_a_mismatch_is_treated_with_own_statistics() -> None:
    remedy = remedies["standardise-inputs"]
    symptom = Symptom(code="P905", name="x", severity=1, where="0", message="")
    assert remedy.default("0", [symptom]).params == {"statistics": "own"}
    assert remedy.default("0").params == {"statistics": "shared"}


DATA = TensorDataset(torch.arange(40.0)[:, None], torch.arange(40.0)[:, None])
Batches = Callable[[], Iterator[Tensor]]


def anew() -> Iterator[Tensor]:
    loader = DataLoader(DATA, 8)
    for _ in range(7):
        yield next(iter(loader))[0]


def epochs() -> Iterator[Tensor]:
    loader = DataLoader(DATA, 8)
    for _ in range(2):
        for inputs, _ in loader:
            yield inputs


def sliced() -> Iterator[Tensor]:
    for _ in range(7):
        yield DATA.tensors[0][4:12]


def indexed() -> Iterator[Tensor]:
    rows = torch.arange(4, 12)
    for _ in range(7):
        yield DATA.tensors[0][rows]


def firsts(batches: Batches, treat: Any, treatment: tuple[Action, ...]) -> tuple[list[float], Any]:
    seen: list[float] = []

    def program() -> nn.Module:
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        for inputs in batches():
            seen.append(float(inputs[0, 0]))
            model(inputs).square().mean().backward()
            optimizer.step()
        return model

    _, trace = treat(program, treatment)
    return seen, trace


@pytest.mark.parametrize(
    ("batches", "seen"),
    [
        (anew, [0, 8, 16, 24, 32, 0, 8]),
        (sliced, [4, 4, 20, 28, 36, 4, 12]),
        (indexed, [4, 4, 20, 28, 36, 4, 12]),
    ],
)
def test_batches_move_on(treat: Any, batches: Batches, seen: list[float]) -> None:
    found, trace = firsts(batches, treat, (action("advance-batches", ""),))
    assert found == seen and trace.applied
    assert len(set(firsts(batches, treat, ())[0])) == 1


def test_epochs_stay_what_they_are(treat: Any) -> None:
    found, _ = firsts(epochs, treat, (action("advance-batches", ""),))
    assert found == [0, 8, 16, 24, 32] * 2
    original = DataLoader.__iter__
    assert original.__module__.startswith("torch")


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
    _, trace = treat(program, (action("shuffle-batches", f"test_data.py:{line}"),))
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
    _, trace = treat(program, (action("shuffle-batches", f"test_data.py:{line}"),))
    assert len(trace.applied) == 1
    assert seen[0] != seen[1] == sorted(seen[0])


class Reader(nn.Module):
    """A GRU in both directions whose last states are put side by side."""

    def __init__(self, batch_first: bool = True, right: bool = True) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, bidirectional=True, batch_first=batch_first)
        self.right = right

    def forward(self, inputs: Tensor) -> Tensor:
        last = self.gru(inputs)[1]
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


VIEW = f"test_data.py:{Reader.forward.__code__.co_firstlineno + 4}"


@pytest.mark.parametrize(
    ("wrong", "target"), [({"batch_first": False}, "gru"), ({"right": False}, VIEW)]
)
def test_samples_are_kept_apart(treat: Any, wrong: dict[str, bool], target: str) -> None:
    def program(**how: bool) -> list[Tensor]:
        torch.manual_seed(0)
        return read_with(Reader(**how))

    wanted = program()
    found, trace = treat(lambda: program(**wrong), (action("keep-samples-apart", target),))
    assert [event["target"] for event in trace.applied] == [target]
    assert all(one.equal(other) for one, other in zip(found, wanted, strict=True))


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

    found, trace = treat(program, (action("copy-items", "Jittered.rows"),))
    assert found == [1.0] * 6 and program() == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert [event["target"] for event in trace.applied] == ["Jittered.rows"]
