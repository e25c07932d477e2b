from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.probes.tap.observing import observe


def train(clip: Callable[[nn.Module], object]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (3 * model(torch.ones(1, 3)).sum()).backward()  # a gradient of (3, 3, 3)
        clip(model)
        optimizer.step()
    return model


def by_norm(model: nn.Module) -> object:
    return nn.utils.clip_grad_norm_(model.parameters(), 0.5)


def by_value(model: nn.Module) -> object:
    return nn.utils.clip_grad_value_(model.parameters(), clip_value=0.25)


def by_keyword(model: nn.Module) -> object:
    return nn.utils.clip_grad_norm_(parameters=model.parameters(), max_norm=0.5)


@pytest.mark.parametrize(
    ("clip", "norm", "limit", "entries"),
    [(by_norm, 27**0.5, 0.5, 0.0), (by_value, 3.0, 0.25, 1.0), (by_keyword, 27**0.5, 0.5, 0.0)],
)
def test_what_came_in_and_what_is_let_through(clip, norm, limit, entries) -> None:
    trace = observe(lambda: train(clip))
    (place,) = trace.places("clip.norm")
    text = Path(__file__).read_text().splitlines()[int(place.split(":")[1]) - 1]
    assert "return nn.utils.clip_grad" in text
    assert trace.signal("train", place, "clip.norm").values == pytest.approx([norm] * 3)
    assert trace.signal("train", place, "clip.limit").values == [limit] * 3
    assert trace.signal("train", place, "clip.entries").values == [entries] * 3


@pytest.mark.parametrize("clip", [by_norm, by_value, by_keyword])
def test_it_is_clipped_all_the_same_and_everything_is_put_back(clip) -> None:
    originals = (nn.utils.clip_grad_norm_, nn.utils.clip_grad.clip_grad_value_)
    bare = train(clip).weight
    models: list[nn.Module] = []
    observe(lambda: models.append(train(clip)))
    assert torch.equal(models[0].weight, bare)
    assert originals == (nn.utils.clip_grad_norm_, nn.utils.clip_grad.clip_grad_value_)
