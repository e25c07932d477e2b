from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.probes.tap.observing import observe


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 4) -> nn.Module:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
    return model


def line(source: str | None) -> str:
    return Path(__file__).read_text().splitlines()[int((source or "").split(":")[1]) - 1]


def test_the_settings_of_each_group_with_the_line_that_made_it() -> None:
    def program() -> None:
        model = nn.Linear(3, 2)
        groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.0}]
        train(model, torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.99), weight_decay=0.5))

    trace = observe(program)
    assert list(trace.optimizers) == ["AdamW[0]", "AdamW[1]"]
    info = trace.optimizers["AdamW[0]"]
    assert (info.type, info.parameters) == ("AdamW", ("weight",))
    assert "torch.optim.AdamW(groups" in line(info.source)
    for name, value in {"lr": 0.1, "momentum": 0.8, "beta2": 0.99, "decoupled": 1.0}.items():
        assert trace.signal("train", "AdamW[0]", f"optimizer.{name}").values[-1] == value
    decays = [
        trace.signal("train", w, "optimizer.weight_decay").values[0] for w in trace.optimizers
    ]
    assert decays == [0.5, 0.0]


def test_a_gradient_that_stays_and_one_that_turns_round() -> None:
    def cosines(turn: float) -> list[float]:
        def program() -> None:
            weight = nn.Parameter(torch.ones(2, 3))
            optimizer = torch.optim.SGD([weight], lr=0.0)
            for step in range(3):
                optimizer.zero_grad()
                (turn**step * weight.sum()).backward()
                optimizer.step()

        return observe(program).signal("train", "SGD", "optimizer.steadiness").values

    assert cosines(1.0) == pytest.approx([1.0, 1.0])
    assert cosines(-1.0) == pytest.approx([-1.0, -1.0])


class Own(torch.optim.SGD):
    def __init__(self, parameters: object) -> None:
        super().__init__(parameters, lr=0.1)
        for group in self.param_groups:
            group["momentum"] = "none"
            group["eps"] = complex(1.0)


def test_a_users_own_optimizer_with_odd_groups() -> None:
    def program() -> None:
        model = nn.Linear(3, 2)
        optimizer = Own(model.parameters())
        with contextlib.suppress(TypeError):
            train(model, optimizer)

    trace = observe(program)
    assert not trace.optimizers or "Own(model" in line(trace.optimizers["Own"].source)


def test_odd_tensors_break_nothing() -> None:
    def program() -> None:
        sparse = nn.Embedding(5, 3, sparse=True)
        waves = nn.Parameter(torch.ones(2, dtype=torch.complex64))
        optimizer = torch.optim.SGD([*sparse.parameters(), waves], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (sparse(torch.tensor([1, 2])).sum() + waves.abs().sum()).backward()
            optimizer.step()
        torch.optim.Adam([torch.ones(2, device="meta", requires_grad=True)])

    assert observe(program).steps == 3


def test_optimizers_of_one_class_are_told_apart_and_not_without_end() -> None:
    def program() -> None:
        for _ in range(20):
            model = nn.Linear(3, 2)
            train(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=1)

    names = list(observe(program).optimizers)
    assert names[:2] == ["SGD", "SGD#2"] and len(names) <= 8
