"""The axis of the classes is moved where a line reshapes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes import Symptom, Trace
from remedies import Action, remedies
from tests.remedies.training import same

Loss = Callable[[Tensor, Tensor], Tensor]
Layer = Callable[[], nn.Module]
FILE = Path(__file__).name


def action(target: str) -> Action:
    return remedies["move-class-axis"].default(target)


def line_of(loss: Loss, behind: int = 1) -> str:
    return f"{FILE}:{loss.__code__.co_firstlineno + behind}"


def trained(loss: Loss, layer: Layer, seen: list[Tensor] | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = layer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(5):
        inputs, tags = torch.randn(4, 5, 5), torch.randint(3, (4, 5))
        optimizer.zero_grad()
        loss(model(inputs), tags).backward()
        optimizer.step()
        with torch.no_grad():
            value = loss(model(inputs), tags)
        if seen is not None:
            seen.append(value)
    return model


def linear() -> nn.Module:
    return nn.Linear(5, 3)


def convolution() -> nn.Module:
    return nn.Conv1d(5, 3, 1)


def last_right(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.cross_entropy(scores.transpose(1, 2), tags)


def second_right(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.cross_entropy(scores, tags)


def viewed(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.cross_entropy(scores.view(4, 3, 5), tags)


def reshaped(scores: Tensor, tags: Tensor) -> Tensor:
    scores = torch.reshape(scores, (4, 3, -1))
    return nn.CrossEntropyLoss()(scores, target=tags)


def idle(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.cross_entropy(scores.view(4, 5, -1), tags)


def flattened(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.nll_loss(scores.log_softmax(1).reshape(-1, 3), tags.view(-1))


def flat_rows(scores: Tensor, tags: Tensor) -> Tensor:
    return functional.cross_entropy(scores.view(20, 3).view(4, 3, 5), tags)


@pytest.mark.parametrize(
    ("loss", "right", "layer"),
    [
        (viewed, last_right, linear),
        (reshaped, last_right, linear),
        (flat_rows, last_right, linear),
        (idle, last_right, lambda: nn.Linear(5, 5)),
        (flattened, second_right, convolution),
    ],
)
def test_the_scores_are_in_the_order_of_the_labels(
    treat: Any, loss: Loss, right: Loss, layer: Layer
) -> None:
    expected: list[Tensor] = []
    wanted = trained(right, layer, expected)
    seen: list[Tensor] = []
    model, trace = treat(lambda: trained(loss, layer, seen), (action(line_of(loss)),))
    assert same(model, wanted) and not same(trained(loss, layer), wanted)
    assert torch.allclose(torch.stack(seen), torch.stack(expected), atol=1e-5), "in evaluation, too"
    assert [event["target"] for event in trace.applied] == [line_of(loss)]
    assert not trace.places("scramble.classes"), "what is measured is what is trained on"


def test_an_evaluation_on_another_line_is_put_right_as_well(treat: Any) -> None:
    values: list[tuple[float, float, float]] = []

    def loss(scores: Tensor, tags: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return functional.cross_entropy(scores.view(4, 3, 5), tags)
        other = scores.new_zeros(4, 5, 6)
        assert torch.equal(other.view(4, 6, 5), other.reshape(4, 6, 5)), "of another kind"
        assert torch.equal(scores.view(4, 5, 3), scores), "nothing is mixed"
        value = functional.cross_entropy(scores.view(4, 3, 5), tags)
        found = value.item(), last_right(scores, tags).item(), scores.view(2, 30)[0, 1].item()
        values.append((*found[:2], found[2] - scores[0, 0, 1].item()))
        return value

    treat(lambda: trained(loss, linear), (action(line_of(loss, 2)),))
    assert len(values) == 5
    assert all(abs(one - other) < 1e-5 and rest == 0 for one, other, rest in values)


def test_what_a_model_reshapes_in_evaluation_is_its_own(treat: Any) -> None:
    class Own(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            scores = super().forward(inputs)
            if not torch.is_grad_enabled():
                assert torch.equal(scores.view(4, 3, 5).flatten(), scores.flatten())
            return scores

    _, trace = treat(lambda: trained(viewed, lambda: Own(5, 3)), (action(line_of(viewed)),))
    assert trace.applied


def test_an_evaluation_that_keeps_the_axes_stays_as_it_is(treat: Any) -> None:
    def loss(scores: Tensor, tags: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return functional.cross_entropy(scores.view(4, 5, -1), tags)
        assert torch.equal(scores.view(4, 5, 5), scores)
        return last_right(scores, tags)

    _, trace = treat(lambda: trained(loss, lambda: nn.Linear(5, 5)), (action(line_of(loss, 2)),))
    assert trace.applied


@pytest.mark.parametrize(("loss", "layer"), [(last_right, linear), (second_right, convolution)])
def test_what_is_right_is_left_alone(treat: Any, loss: Loss, layer: Layer) -> None:
    model, trace = treat(lambda: trained(loss, layer), (action(line_of(loss)),))
    assert not trace.applied and same(model, trained(loss, layer))


def test_another_line_is_left_alone_in_training(treat: Any) -> None:
    model, trace = treat(lambda: trained(viewed, linear), (action(line_of(reshaped)),))
    assert not trace.applied and same(model, trained(viewed, linear))


def test_of_two_lines_the_named_one_is_changed_in_training(treat: Any) -> None:
    def both(scores: Tensor, tags: Tensor) -> Tensor:
        return functional.cross_entropy(scores.view(4, 3, 5), tags) + viewed(scores, tags)

    def half(scores: Tensor, tags: Tensor) -> Tensor:
        return last_right(scores, tags) + viewed(scores, tags)

    model, _ = treat(lambda: trained(both, linear), (action(line_of(both)),))
    assert same(model, trained(half, linear))


def test_the_targets_are_the_lines_of_the_reshapes() -> None:
    rows = [[f"train.py:{line}", "scramble.classes", 3.0] for line in (4, 7)]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    remedy = remedies["R813"]
    symptom = Symptom(
        code="P813", name="x", severity=0.9, where="loss", source="train.py:7", message=""
    )
    assert list(remedy.targets([symptom], trace)) == ["train.py:7"]
    assert list(remedy.targets([], trace)) == ["train.py:4", "train.py:7"]


def test_it_needs_a_line(treat: Any) -> None:
    with pytest.raises(ValueError, match="which line"):
        treat(lambda: trained(viewed, linear), (action(""),))
