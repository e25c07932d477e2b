"""R602: what residual branches add is scaled."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from remedies import Action, remedies

INPUTS = torch.arange(24.0).reshape(6, 4) / 24
EXPLODES = Symptom(code="P603", name="x", severity=1, where="stem", message="")


class Within(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.share = 1.0

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        return stream + self.share * torch.relu(self.layer(stream))


class Net(nn.Module):
    def __init__(self, within: bool, depth: int, share: float = 1.0) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.first: torch.Tensor | None = None
        self.within, self.share = within, share
        self.blocks = nn.ModuleList(
            Within() if within else nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(depth)
        )
        for block in self.blocks:
            if isinstance(block, Within):
                block.share = share

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        stream = self.stem(stream)
        for block in self.blocks:
            stream = block(stream) if self.within else stream + self.share * block(stream)
        return stream


def train(within: bool, depth: int = 4, share: float = 1.0) -> Net:
    torch.manual_seed(0)
    model = Net(within, depth, share)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        output = model(INPUTS)
        model.first = output.detach() if model.first is None else model.first
        output.square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        model.last = model(INPUTS)
    return model


def action(target: str, by: str) -> tuple[Action, ...]:
    found = remedies["R602"].default(target)
    return (found.model_copy(update={"params": {"by": by}}),)


@pytest.mark.parametrize("within", [True, False])
def test_by_depth_is_the_same_as_in_the_script(treat, within) -> None:
    _, trace = treat(lambda: train(within), ())
    (target,) = remedies["R602"].targets([EXPLODES], trace)
    assert target == "blocks.0,blocks.1,blocks.2,blocks.3"
    model, trace = treat(lambda: train(within), action(target, "depth"))
    assert torch.allclose(model.last, train(within, share=0.5).last, atol=1e-6)
    assert not torch.allclose(model.last, train(within).last, atol=1e-3)
    assert len(trace.applied) == 4


@pytest.mark.parametrize("within", [True, False])
def test_a_gate_begins_at_zero_and_is_trained(treat, within) -> None:
    target = "blocks.0,blocks.1,blocks.2,blocks.3"
    once, _ = treat(lambda: train(within), action(target, "zero"))
    assert not torch.allclose(once.last, train(within, share=0.0).last, atol=1e-4)
    assert torch.equal(once.first, train(within, share=0.0).first)


def test_a_network_of_few_branches_is_left_alone(treat) -> None:
    _, trace = treat(lambda: train(False, depth=3), ())
    assert not list(remedies["R602"].targets([EXPLODES], trace))


@pytest.mark.parametrize(("target", "by"), [("", "depth"), ("blocks.0", "half")])
def test_parameters_that_make_no_sense(treat, target, by) -> None:
    with pytest.raises(ValueError):
        treat(lambda: train(True), action(target, by))
