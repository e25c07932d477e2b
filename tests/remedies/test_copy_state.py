"""R815: a state that is kept stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies

INPUTS = torch.arange(24.0).reshape(6, 4) / 24
REMEDY = remedies["R815"]


def line(text: str) -> str:
    source = Path(__file__).read_text().splitlines()
    return f"{Path(__file__).name}:{1 + [row.strip() for row in source].index(text)}"


def train(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()


def program() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 1))
    first = model.state_dict()
    model.then = {key: value.clone() for key, value in first.items()}
    other = model.state_dict()
    train(model)
    model.other, model.metadata = other, getattr(first, "_metadata", None)
    model.load_state_dict(first)
    return model


def is_back(model: nn.Module) -> bool:
    return all(torch.equal(model.state_dict()[key], value) for key, value in model.then.items())


def at(text: str) -> tuple[Action, ...]:
    return (REMEDY.default(f"Sequential@{line(text)}"),)


def test_what_the_line_takes_is_a_copy(treat) -> None:
    assert not is_back(program())
    model, trace = treat(program, at("first = model.state_dict()"))
    assert is_back(model)
    assert [event["target"] for event in trace.applied] == [
        f"Sequential@{line('first = model.state_dict()')}"
    ]
    assert [event["detail"] for event in trace.applied] == ["9 tensors copied"]
    assert model.metadata is not None


def test_what_another_line_takes_is_left_alone(treat) -> None:
    model, _ = treat(program, at("first = model.state_dict()"))
    assert model.other["0.weight"].data_ptr() == model[0].weight.data_ptr()


def test_a_line_that_takes_nothing_leaves_it_inert(treat) -> None:
    model, trace = treat(program, at("train(model)"))
    assert not is_back(model)
    assert not trace.applied


def test_the_program_gets_its_method_back(treat) -> None:
    original = nn.Module.state_dict
    treat(program, at("first = model.state_dict()"))
    assert nn.Module.state_dict is original


def test_a_target_without_a_line_makes_no_sense(treat) -> None:
    with pytest.raises(ValueError, match="needs a line"):
        treat(program, (REMEDY.default("Sequential"),))


def test_the_lines_that_symptoms_name_are_targets() -> None:
    places = ["Net@train.py:3@train.py:9", "Net@train.py:5@train.py:9", "Net@train.py:3@train.py:8"]
    rows = [[place, "state.idle", 1.0] for place in places]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    symptom = Symptom(
        code="P815",
        name="aliased-state",
        severity=0.7,
        where="Net",
        source="train.py:3",
        message="",
    )
    assert list(REMEDY.targets([symptom], trace)) == ["Net@train.py:3"]
    assert list(REMEDY.targets([], trace)) == ["Net@train.py:3,Net@train.py:5"]
    assert not list(REMEDY.targets([], Trace()))
