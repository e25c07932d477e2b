from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies


def train() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model(torch.randn(5, 4)).square().mean().backward()
    optimizer.step()
    return model


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_the_input_is_normed(treat, kind) -> None:
    action = remedies["R104"].default("2").model_copy(update={"params": {"kind": kind}})
    model, trace = treat(train, (action,))
    inputs = torch.randn(5, 6)
    normed = getattr(functional, f"{kind}_norm")(inputs, (6,))
    expected = functional.linear(normed, model[2].weight, model[2].bias)
    assert torch.equal(model[2](inputs), expected)
    assert torch.equal(model[2](input=inputs), expected)
    assert [event["target"] for event in trace.applied] == ["2"]


def test_the_target_is_the_next_module_of_another_class() -> None:
    modules = [
        ("Net", "Net", None),
        ("encoder", "Encoder", "Net"),
        ("encoder.sets", "Sets", "encoder"),
        ("ground", "Encoder", "Net"),
        ("project", "Linear", "Net"),
    ]
    trace = Trace.of(
        {"event": "module", "where": where, "type": kind, "parent": parent}
        for where, kind, parent in modules
    )

    def targets(*places: str) -> list[str]:
        found = [
            Symptom(code="P103", name="unbounded-scale", severity=1, where=where, message="")
            for where in places
        ]
        return list(remedies["R104"].targets(found, trace))

    assert targets("encoder") == ["project"]
    assert targets("encoder.sets") == ["ground"]
    assert targets() == ["encoder", "ground", "project"]
