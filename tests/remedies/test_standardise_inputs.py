"""Inputs are standardised at the model's door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from probes import Symptom
from remedies import Action, remedies

REMEDY = remedies["standardise-inputs"]


def action(statistics: str = "shared") -> Action:
    return REMEDY.default("0").model_copy(update={"params": {"statistics": statistics}})


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
    treatment = (action(),)
    one, trace = treat(scaled(torch.tensor([1.0, 1.0])), treatment)
    other, _ = treat(scaled(torch.tensor([300.0, 1e-3]), 50.0), treatment)
    # A thousandth beside 50 is as exact as single precision allows.
    assert torch.allclose(one[0].weight[:, 0], other[0].weight[:, 0], atol=1e-3)
    assert [event["target"] for event in trace.applied] == ["0"]


def test_evaluation_can_have_its_own_statistics(treat: Any) -> None:
    program = scaled(torch.tensor([1.0, 1.0]))
    shared, _ = treat(program, (action("shared"),))
    own, _ = treat(scaled(torch.tensor([3.0, 3.0])), (action("own"),))
    assert torch.allclose(own.unscaled.std(), shared.unscaled.std(), rtol=0.1)


def fitted(
    features: int, batches: Iterable[Tensor], rate: float = 0.1, given: list[Tensor] | None = None
) -> nn.Module:
    """Trained on the batches; what its layer takes in of the last one, once more, is given."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(features, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for inputs in batches:
        model(inputs).square().mean().backward()
        optimizer.step()
    if given is not None:
        model[0].register_forward_pre_hook(lambda _, args: given.append(args[0]))
        model(inputs)
    return model


def test_what_is_missing_becomes_the_mean(treat: Any) -> None:
    def batches() -> Iterator[Tensor]:
        for _ in range(3):
            inputs = torch.randn(8, 3)
            inputs[0, 1], inputs[:, 2] = torch.nan, 4.0
            yield inputs

    model, trace = treat(lambda: fitted(3, batches()), (action(),))
    assert trace.applied and bool(model[0].weight.isfinite().all())


def test_codes_do_not_count_and_are_limited(treat: Any) -> None:
    given: list[Tensor] = []

    def batches() -> Iterator[Tensor]:
        for _ in range(3):
            inputs = 4 + 2 * torch.randn(64, 3)
            inputs[:3, 1] = -999.0
            yield inputs

    treat(lambda: fitted(3, batches(), given=given), (action(),))
    coded = given[-1][:, 1]
    assert coded[:3].tolist() == [-5.0] * 3
    assert float(coded[3:].std()) == pytest.approx(1.0, abs=0.15)
    assert float(coded[3:].mean()) == pytest.approx(0.0, abs=0.15)


def test_a_code_is_known_in_the_batches_that_have_it_once(treat: Any) -> None:
    given: list[Tensor] = []

    def batches() -> Iterator[Tensor]:
        for step in range(12):
            inputs = torch.randn(64, 2)
            inputs[: 3 if step == 6 else 1, 1] = -999.0
            yield inputs

    _, trace = treat(lambda: fitted(2, batches(), 0.01, given), (action(),))
    assert float(given[-1][1:, 1].std()) == pytest.approx(1.0, abs=0.2)
    # What the layer takes in is told, not what it was given.
    assert trace.signal("train", "0", "input.largest").values[-1] < 2
    assert trace.signal("train", "0", "input.outlying").values[-1] == 0


def test_a_mismatch_is_treated_with_own_statistics() -> None:
    symptom = Symptom(code="P905", name="x", severity=1, where="0", message="")
    assert REMEDY.default("0", [symptom]).params == {"statistics": "own"}
    assert REMEDY.default("0").params == {"statistics": "shared"}
