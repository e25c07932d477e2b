from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.trace import Trace
from remedies import Action, remedies


def norms(target: str, kind: str) -> tuple[Action, ...]:
    return (remedies["R105"].default(target).model_copy(update={"params": {"kind": kind}}),)


def program() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(24, 5), nn.Tanh())
    seen = {}
    for place in (0, 2):
        model[place].register_forward_hook(lambda m, _, out: seen.update({type(m).__name__: out}))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    model(50 * torch.randn(3, 2, 8)).sum().backward()
    optimizer.step()
    model.seen = seen
    model.output = model[2](model[1](model[0](torch.randn(3, 2, 8))))
    return model


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_layers_give_normalised_values(treat, kind) -> None:
    model, trace = treat(program, norms("0,2", kind))
    rms = model.output.detach().square().mean(-1).sqrt()
    assert torch.allclose(rms, torch.ones(3), atol=1e-2)
    assert {event["target"] for event in trace.applied} == {"0", "2"}


def test_targets_are_all_layers_but_the_last() -> None:
    events = [
        {"event": "module", "where": where, "type": kind}
        for where, kind in (("a", "Linear"), ("b", "Conv2d"), ("c", "ReLU"), ("d", "Linear"))
    ]
    rows = [[where, "output.mean", 0.0] for where in "abcd"]
    events.append({"event": "signals", "step": 1, "phase": "train", "rows": rows})
    assert list(remedies["R105"].targets([], Trace.of(events))) == ["a,b"]
