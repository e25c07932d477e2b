"""Samples that are trained on are known again in evaluation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.sample_rows import sample_rows
from probes.trace import Trace
from tests.probes.tap.observing import tapped

Evaluate = Callable[[nn.Module, Tensor], None]


def in_eval(model: nn.Module, held_out: Tensor) -> None:
    model.eval()
    for part in held_out.split(20):
        model(part)
    model.train()


def without_gradient(model: nn.Module, held_out: Tensor) -> None:
    with torch.no_grad():
        model(held_out)


def run(
    data: Tensor,
    held_out: Tensor,
    evaluate: Evaluate,
    labelled: float = 1.0,
    steps: int = 5,
    within: Callable[[Tensor], Tensor] | None = None,
) -> Trace:
    with tapped() as observed:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(data.shape[1], 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(6):
            for rows in torch.randperm(len(data)).chunk(steps):
                if within is not None:
                    without_gradient(model, data[within(rows)])
                scores = model(data[rows])[: int(labelled * len(rows))]
                functional.cross_entropy(scores, torch.arange(len(scores)) % 3).backward()
                optimizer.step()
            evaluate(model, held_out)
        model(data[:10]).sum().backward()
        optimizer.step()
    return observed.trace


def shared(trace: Trace) -> list[float]:
    places = trace.places("samples.shared", "eval")
    return [v for place in places for v in trace.signal("eval", place, "samples.shared").values]


DATA = torch.randn(100, 6, generator=torch.Generator().manual_seed(1))
OTHER = torch.randn(40, 6, generator=torch.Generator().manual_seed(2))
CODES = torch.randint(2, (100, 6), generator=torch.Generator().manual_seed(3)).float()


@pytest.mark.parametrize("evaluate", [in_eval, without_gradient])
def test_samples_of_training_are_known_again(evaluate: Evaluate) -> None:
    found = shared(run(DATA, DATA[:40], evaluate))
    assert len(found) >= 4 and min(found) > 0.9
    assert found[-1] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("evaluate", [in_eval, without_gradient])
def test_other_samples_are_not(evaluate: Evaluate) -> None:
    found = shared(run(DATA, OTHER, evaluate))
    assert len(found) >= 4 and not any(found)


def test_half_of_the_samples() -> None:
    found = shared(run(DATA, torch.cat([DATA[:20], OTHER[:20]]), without_gradient))
    assert found[-1] == pytest.approx(0.5, abs=0.05)


def test_copies_of_measurements_count() -> None:
    twice = torch.cat([DATA, DATA])
    assert shared(run(twice, twice[:50], without_gradient))[-1] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("data", "labelled"),
    [(CODES, 1.0), (DATA[:, :2], 1.0), (DATA, 0.5)],
    ids=["few states", "points of a plane", "a graph with some labels"],
)
def test_what_is_shared_by_nature_is_left_alone(data: Tensor, labelled: float) -> None:
    assert not shared(run(data, data[:40], without_gradient, labelled, steps=1))


def test_a_pass_of_the_batch_of_the_step_is_no_evaluation() -> None:
    found = run(DATA, OTHER, lambda model, held_out: None, within=lambda rows: rows)
    assert not shared(found), "pseudo-labels"


def test_other_samples_that_each_step_asks_about_are_no_evaluation() -> None:
    found = run(DATA, OTHER, lambda model, held_out: None, within=lambda rows: (rows + 1) % 100)
    places = found.places("samples.shared", "eval")
    steps = [s for at in places for s in found.signal("eval", at, "samples.shared").steps]
    assert max(steps, default=0) < 6, "the values of the next states, once that is known"


def test_a_teacher_is_not_evaluated() -> None:
    def distil(model: nn.Module, held_out: Tensor) -> None:
        student = nn.Linear(6, 3)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
        for rows in torch.randperm(100).chunk(5):
            with torch.no_grad():
                wanted = model(DATA[rows]).argmax(1)
            functional.cross_entropy(student(DATA[rows]), wanted).backward()
            optimizer.step()

    assert not any(share > 0.1 for share in shared(run(DATA, OTHER, distil)))


def test_samples_of_which_there_are_few_come_again_by_chance() -> None:
    numbers = torch.arange(64)[:, None]
    bits = (numbers // 2 ** torch.arange(14)) % 2.0  # All rows differ.
    assert sample_rows((bits,)) == []
    assert sample_rows((torch.cat([bits, bits[:, :4]], 1),)) == []  # 262 144 are soon drawn.
    assert len(sample_rows((torch.cat([bits] * 3, 1),))) == 64
    assert len(sample_rows((bits + 0.1 * torch.arange(14.0),))) == 64
