from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies
from tests.probes.tap.test_membership import Adapted

DRAW: tuple[Action, ...] = (remedies["R505"].default(""),)


def adapted(down: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    model = Adapted(down)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(8, 6)).sum().backward()
    optimizer.step()
    model.number = torch.rand(())
    return model


def test_the_first_of_two_that_block_each_other_is_drawn(treat) -> None:
    model, trace = treat(adapted, DRAW)
    bound = (1 / 6) ** 0.5
    assert bound / 2 < model.down.abs().max() <= bound and not model.up.any()
    assert [(event["remedy"], event["step"]) for event in trace.applied] == [("R505", 0)]


def test_the_random_numbers_of_the_program_stay(treat) -> None:
    (one, _), (other, _) = treat(adapted, DRAW), treat(adapted, ())
    assert one.number == other.number and torch.equal(one.layer.weight, other.layer.weight)
    again, _ = treat(adapted, DRAW)
    assert torch.equal(one.down, again.down)


def test_nothing_is_drawn_where_nothing_is_blocked(treat) -> None:
    _, trace = treat(lambda: adapted(1.0), DRAW)
    assert not trace.applied


def test_every_layer_of_a_model_of_zeros_is(treat) -> None:
    def program() -> nn.Module:
        model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(8, 6)).sum().backward()
            optimizer.step()
        return model

    model, _ = treat(program, DRAW)
    assert model[0].weight.any() and model[2].weight.any() and model[0].bias.any()


@pytest.mark.parametrize(("zeros", "targets"), [(1.0, [""]), (0.0, [])])
def test_it_is_for_zeros_only(zeros: float, targets: list[str]) -> None:
    symptom = Symptom(
        code="P604", name="x", severity=1, where="up", message="", evidence={"zeros": zeros}
    )
    assert list(remedies["R505"].targets([symptom], Trace())) == targets
