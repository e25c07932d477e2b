"""Between probed steps nothing is read from a tensor: on an accelerator each read makes it wait."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from probes.tap import Tap
from probes.tap.cadence import is_probed
from tests.probes.tap.observing import tapped

_READS = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::item"}
"""What makes the host wait for a device, in the dispatcher's names."""


class Reads(TorchDispatchMode):
    """Counts what reads a value from a tensor, by the step that it belongs to."""

    def __init__(self, tap: Tap) -> None:
        super().__init__()
        self._tap = tap
        self.at: Counter[int] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func._schema.name in _READS:
            self.at[self._tap.step] += 1
        return func(*args, **(kwargs or {}))


def test_steps_that_are_not_probed_read_no_more_than_the_loss(tmp_path: Path) -> None:
    """The look at the loss is one at tensors of the CPU only, where it waits for nothing."""
    with tapped(folder=tmp_path) as observed:
        model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        inputs, labels = torch.randn(32, 8), torch.randint(3, (32,))
        with Reads(observed.tap) as reads:
            for _ in range(60):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(inputs), labels)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()

    between = [step for step in range(60) if not is_probed(step)]
    assert between
    assert {reads.at[step] for step in between} == {1}
    assert reads.at[48] > 1  # A probed one, so that what is counted is known to be seen.
