"""Functions at a line: another one, or a limited argument."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def write(rewrite, text: str, target: str, **params: str) -> str:
    events = [{"event": "module", "where": "act", "type": "ReLU", "source": "train.py:3"}]
    return rewrite(text, "R503", target, Trace.of(events), **params)


@pytest.mark.parametrize(
    ("line", "target", "to", "after"),
    [
        ("act = nn.ReLU()", "act", "gelu", "act = nn.GELU()"),
        ("act = nn.ReLU(inplace=True)", "act", "selu", "act = nn.SELU(inplace=True)"),
        ("act = nn.ReLU(True)", "act", "tanh", "act = nn.Tanh()"),
        ("y = F.relu(f(F.relu(x)))", "relu@train.py:3", "elu", "y = F.elu(f(F.elu(x)))"),
        ("y = torch.relu(x)", "relu@train.py:3", "silu", "y = F.silu(x)"),
    ],
)
def test_it_is_written(rewrite, line, target, to, after) -> None:
    head = "import torch\nfrom torch.nn import functional as F; from torch import nn\n"
    assert write(rewrite, f"{head}{line}\n", target, to=to) == f"{head}{after}\n"


@pytest.mark.parametrize("line", ["y = x.relu()", "y = F.relu(x) + x.relu()", "y = g(x)"])
def test_what_cannot_be_told_is_not_written(rewrite, line) -> None:
    head = "import torch\nfrom torch.nn import functional as F; from torch import nn\n"
    with pytest.raises(Unwritable):
        write(rewrite, f"{head}{line}\n", "relu@train.py:3", to="elu")


@pytest.mark.parametrize(
    ("line", "operation", "after"),
    [
        ("y = torch.log(x)", "log", "y = torch.log(x.clamp(min=1e-06))"),
        ("y = -torch.log(1 - x)", "log", "y = -torch.log((1 - x).clamp(min=1e-06))"),
        ("y = (x**2).sum().sqrt()", "sqrt", "y = (x**2).sum().clamp(min=1e-06).sqrt()"),
        ("y = torch.exp(a * x)", "exp", "y = torch.exp((a * x).clamp(max=30))"),
    ],
)
def test_a_limit_is_written(rewrite, line, operation, after) -> None:
    changed = rewrite(f"import torch\n{line}\n", "R604", f"{operation}@train.py:2", epsilon=1e-6)
    assert changed == f"import torch\n{after}\n"


@pytest.mark.parametrize("line", ["y = a / b", "y = torch.log(x) + torch.log(z)"])
def test_a_limit_that_is_not_clear_is_not_written(rewrite, line) -> None:
    operation = "div" if "/" in line else "log"
    with pytest.raises(Unwritable):
        rewrite(f"import torch\n{line}\n", "R604", f"{operation}@train.py:2", epsilon=1e-6)
