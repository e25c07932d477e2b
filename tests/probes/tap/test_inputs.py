"""What comes in at the model's door."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from probes.tap.inputs import input_statistics, outlying
from tests.probes.tap.observing import classified, observe, train


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
