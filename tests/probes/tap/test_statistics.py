"""The statistics are what torch's own, slower functions say."""

from __future__ import annotations

import pytest
import torch

from probes.tap.statistics import output_statistics

FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_statistics_of_an_output_of_any_precision(dtype: torch.dtype) -> None:
    output = (3 + 2 * torch.randn(64, 5, 7, generator=torch.Generator().manual_seed(0))).to(dtype)
    exact = output.double()
    found = {name: value.item() for name, value in output_statistics(output).items()}
    assert found == pytest.approx(
        {
            "output.mean": exact.mean().item(),
            "output.std": exact.std(correction=0).item(),
            "output.rms": exact.square().mean().sqrt().item(),
            "output.sample_std": exact.std(0).mean().item(),
        },
        rel=1e-3,
    )


def test_large_half_precision_values_do_not_overflow() -> None:
    output = torch.full((4, 100_000), 1000.0, dtype=torch.float16)
    found = output_statistics(output)
    assert found["output.rms"].item() == pytest.approx(1000, rel=1e-3)
    assert found["output.mean"].item() == pytest.approx(1000, rel=1e-3)
