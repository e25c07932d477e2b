"""What every remedy can rely on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from remedies.surgery import Program
from remedies.treatment import Action
from tests.probes.tap.observing import tapped

ACTION = Action(remedy="R999", name="test")


def test_new_parameters_join_the_group_of_the_module_that_they_replace() -> None:
    with tapped(folder=Path(__file__).parent) as observed:
        program = Program(observed.tap, (), observed.events.append)
        program.edit_module(ACTION, "1", lambda old: nn.Sequential(old, nn.LayerNorm(3)))
        program.install()
        try:
            model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
            groups = [
                {"params": model[0].parameters(), "lr": 0.0},
                {"params": model[1].parameters(), "lr": 0.5},
            ]
            optimizer = torch.optim.SGD(groups)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.randn(4, 2)).square().sum().backward()
                optimizer.step()
                scheduler.step()
        finally:
            program.close()
    norm = model[1][1]
    assert isinstance(norm, nn.LayerNorm)
    assert not torch.equal(norm.weight, torch.ones(3))
    assert len(optimizer.param_groups) == 2
    assert any(event["event"] == "applied" for event in observed.events)
