"""How much of what a loss asks for is explained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.tap.targets import fit
from tests.probes.tap.observing import Loss, measured, observe, train


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
