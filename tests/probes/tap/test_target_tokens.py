"""Labels that are the tokens which the model was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.trace import Trace
from tests.probes.tap.observing import line_of, observe

WORDS = 7
Cut = Callable[[Tensor], tuple[Tensor, Tensor]]


def run(cut: Cut, flat: bool = True, ignore: int = -100, others: Sequence[Tensor] = ()) -> Trace:
    """Train a recurrent model on what ``cut`` makes of rows of tokens: given and wanted."""

    def program() -> None:
        torch.manual_seed(0)
        words, memory = nn.Embedding(WORDS, 8), nn.GRU(8, 8, batch_first=True)
        model = nn.ModuleList([words, memory, nn.Linear(8, WORDS)])
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(4):
            given, wanted = cut(torch.randint(WORDS, (5, 9)))
            for other in others:
                words(other)
            scores = model[2](memory(words(given))[0])
            if flat:
                scores, wanted = scores.reshape(-1, WORDS), wanted.reshape(-1)
            else:
                scores = scores.transpose(1, 2)
            optimizer.zero_grad()
            functional.cross_entropy(scores, wanted, ignore_index=ignore).backward()
            optimizer.step()

    return observe(program)


def shares(trace: Trace) -> tuple[list[float], list[float]]:
    (line,) = trace.places("tokens.copied")
    assert "cross_entropy" in line_of(line)
    copied, shifted = (trace.signal("train", line, f"tokens.{n}") for n in ("copied", "shifted"))
    return copied.values, shifted.values


@pytest.mark.parametrize("flat", [True, False])
def test_labels_that_are_what_was_given(flat: bool) -> None:
    copied, shifted = shares(run(lambda rows: (rows, rows.clone()), flat))
    assert copied == [1.0] * 4 and max(shifted) < 0.5


def test_labels_that_come_next() -> None:
    copied, shifted = shares(run(lambda rows: (rows[:, :-1], rows[:, 1:])))
    assert shifted == [1.0] * 4 and max(copied) < 0.5


def test_labels_that_are_ignored_do_not_count() -> None:
    copied, _ = shares(run(lambda rows: (rows % 3, rows), ignore=6))
    assert max(copied) < 1
    copied, _ = shares(run(lambda rows: (rows.clamp(max=5), rows), ignore=6))
    assert copied == [1.0] * 4


def test_short_sequences_are_left_alone() -> None:
    assert not run(lambda rows: (rows[:, :3], rows[:, :3])).places("tokens.copied")


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (torch.arange(45).reshape(5, 9) % WORDS, 1.0),  # A source that is to be translated.
        (torch.arange(5).expand(5, 5), 0.0),  # Places.
        (torch.arange(24).reshape(2, 12) % WORDS, 0.0),  # Of other samples.
    ],
)
def test_other_sequences_that_are_looked_up(other: Tensor, count: float) -> None:
    trace = run(lambda rows: (rows[:, :-1], rows[:, 1:]), others=[other])
    (line,) = trace.places("tokens.others")
    assert trace.signal("train", line, "tokens.others").values == [count] * 4
