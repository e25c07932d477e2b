"""Norms of updates, of small parameters exactly and of large ones from some elements."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from probes.trace import Trace
from tests.probes.tap.observing import tapped


def observe(parameter: nn.Parameter, optimizer: torch.optim.Optimizer) -> tuple[Trace, Tensor]:
    """Two steps along the same gradient; what the second one changed, too."""
    with tapped() as observed:
        gradient = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        for _ in range(2):
            before = parameter.detach().clone()
            optimizer.zero_grad()
            (parameter * gradient.to(parameter.dtype)).sum().backward()
            optimizer.step()
    return observed.trace, parameter.detach() - before


@pytest.mark.parametrize("shape", [(5, 7), (600, 900), (4096, 256)], ids=str)
def test_norms_of_parameters_of_any_size(shape: tuple[int, int]) -> None:
    parameter = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    trace, change = observe(parameter, torch.optim.SGD([parameter], lr=0.1))
    close = 1e-3 if parameter.numel() < 1000 else 0.02
    update = trace.signal("train", "parameter", "update.norm").values[-1]
    assert update == pytest.approx(float(change.norm()), rel=close)
    gradient = trace.signal("train", "parameter", "grad.norm").values[-1]
    assert gradient == pytest.approx(float(change.norm()) / 0.1, rel=1e-3)
    promised = trace.signal("train", "loss", "loss.promised").values[-1]
    assert promised == pytest.approx(0.1 * gradient**2, rel=2 * close)


@pytest.mark.parametrize("shape", [(32_768, 9), (1024, 256), (1000, 300)], ids=str)
def test_updates_of_one_column_are_seen_whatever_the_shape(shape: tuple[int, int]) -> None:
    rows, columns = shape
    parameter = nn.Parameter(torch.randn(rows, columns))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    parameter.register_hook(lambda gradient: gradient * (torch.arange(columns) == columns - 1))
    trace, change = observe(parameter, optimizer)
    update = trace.signal("train", "parameter", "update.norm").values[-1]
    assert update == pytest.approx(float(change.norm()), rel=0.25)


def test_half_precision_of_a_large_parameter() -> None:
    parameter = nn.Parameter(torch.ones(400, 400, dtype=torch.bfloat16))
    trace, change = observe(parameter, torch.optim.SGD([parameter], lr=0.01))
    lost = trace.signal("train", "parameter", "update.lost").values[-1]
    assert 0 < lost < 1
    assert trace.signal("train", "parameter", "update.elements").values[-1] == 160_000
    update = trace.signal("train", "parameter", "update.norm").values[-1]
    assert update == pytest.approx(float(change.float().norm()), rel=0.05)
