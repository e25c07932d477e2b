"""The axis of the classes is followed to the loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.tap.class_axes import axis_after, scramble

WORDS = torch.randn(4, 7, 5)
LONGER = torch.randn(4, 9, 5)
IMAGE = torch.randn(4, 2, 6, 6)


def scored(inputs: Tensor, classes: int = 3, bias: bool = True) -> Tensor:
    scores: Tensor = nn.Linear(inputs.shape[-1], classes, bias)(inputs)
    return scores


def convolved(inputs: Tensor, classes: int = 3, size: int = 3) -> Tensor:
    kind = nn.Conv1d if inputs.dim() == 3 else nn.Conv2d
    scores: Tensor = kind(inputs.shape[1], classes, size, padding=size // 2)(inputs)
    return scores


def stacked(inputs: Tensor, dim: int = 1) -> Tensor:
    layer = nn.Linear(5, 3)
    return torch.stack([layer(step) for step in inputs.unbind(1)], dim)


MIXED = {
    "linear": (scored(WORDS).view(4, 3, 7), 2),
    "positions are a multiple of the classes": (scored(LONGER).view(4, 3, 9), 2),
    "without bias": (scored(WORDS, bias=False).reshape(4, 3, 7), 2),
    "not contiguous": (scored(WORDS.transpose(1, 2)).reshape(4, 3, 5), 2),
    "flat rows": (scored(WORDS.view(-1, 5)).view(4, 3, 7), 1),
    "images, channels last": (scored(IMAGE.movedim(1, -1)).view(4, 3, 6, 6), 3),
    "a batch of one": (scored(WORDS[:1]).view(1, 3, 7), 2),
    "time first": (scored(WORDS.transpose(0, 1)).view(4, 3, 7), 2),
    "shortened": (scored(WORDS)[:, :-1].reshape(4, 3, 6), 2),
    "dropped out": (functional.dropout(scored(WORDS) + 1).contiguous().view(4, 3, 7), 2),
    "logarithms": (scored(WORDS).log_softmax(-1).view(4, 3, 7), 2),
    "logarithms after it": (scored(WORDS).view(4, 3, 7).log_softmax(1), 2),
    "half precision": (scored(WORDS).bfloat16().float().view(4, 3, 7), 2),
    "recurrent": (nn.LSTM(5, 3, batch_first=True)(WORDS)[0].reshape(4, 3, 7), 2),
    "einsum": (torch.einsum("btd,cd->btc", WORDS, scored(torch.ones(3, 5), 5)).reshape(4, 3, 7), 2),
    "stacked": (stacked(WORDS).view(4, 3, 7), 2),
    "stacked, a multiple of the classes": (stacked(LONGER).view(4, 3, 9), 2),
    "stacked before the batch": (stacked(LONGER, 0).view(9, 3, 4), 2),
    "joined, a multiple of the classes": (
        torch.cat([scored(LONGER[:, :5]), scored(LONGER[:, 5:])], 1).view(4, 3, 9),
        2,
    ),
    "recurrent, a multiple of the classes": (nn.LSTM(5, 3)(LONGER)[0].reshape(4, 3, 9), 2),
    "pixels shuffled": (nn.PixelShuffle(3)(convolved(IMAGE, 27)).view(-1, 3), 1),
    "convolution": (convolved(WORDS).view(-1, 3), 1),
    "image": (convolved(IMAGE).reshape(-1, 3), 1),
    "width is a multiple of the classes": (convolved(IMAGE, 2).view(-1, 2), 1),
    "enlarged": (functional.interpolate(convolved(IMAGE), scale_factor=2).view(-1, 3), 1),
    "of unknown axes": (scored(WORDS)[torch.tensor([0, 0])].view(2, 3, 7), 2),
    "counted from the end": (scored(LONGER).transpose(-1, 1).reshape(-1, 3), 1),
    "as many columns as classes": (convolved(IMAGE, 6).view(-1, 6), 1),
    "as many words as classes": (scored(WORDS, 7).view(4, 7, -1), 2),
    "flattened twice": (convolved(IMAGE).flatten(2).view(-1, 3), 1),
    "transposed before": (scored(WORDS).transpose(1, 2).reshape(-1, 3), 1),
}  # fmt: skip


@pytest.mark.parametrize(("scores", "axis"), MIXED.values(), ids=MIXED)
def test_what_is_mixed(scores: Tensor, axis: int) -> None:
    found = scramble(scores)
    assert found is not None
    assert (found.axis, found.given[axis], found.made) == (axis, scores.shape[1], scores.shape)


WELL = {
    "flattened": scored(WORDS).view(-1, 3),
    "joined": scored(WORDS).flatten(0, 1),
    "transposed": scored(WORDS).transpose(1, 2),
    "convolution": convolved(WORDS),
    "positions joined": convolved(IMAGE).flatten(2),
    "transposed and flattened": convolved(WORDS).transpose(1, 2).reshape(-1, 3),
    "swapped and viewed": convolved(WORDS).swapaxes(-1, 1).contiguous().view(-1, 3),
    "permuted": convolved(IMAGE).permute(0, -2, -1, 1).flatten(0, -2),
    "moved": convolved(IMAGE).movedim(1, -1).reshape(-1, 3),
    "split outputs": scored(WORDS[:, 0], 21).view(4, 3, 7),
    "split outputs, twice": scored(WORDS[:, 0], 21).view(4, 7, 3).view(4, 3, 7),
    "several labels": scored(WORDS[:, 0], 21).view(-1, 3),
    "several labels of each word": scored(WORDS, 9).view(-1, 3),
    "as many labels as classes": scored(WORDS, 9).view(28, 3, 3),
    "split channels": convolved(IMAGE, 6).view(4, 3, 2, 6, 6),
    "anchors": convolved(IMAGE, 6).permute(0, 2, 3, 1).reshape(4, -1, 3).transpose(1, 2),
    "which position": convolved(WORDS.transpose(1, 2), 4, 1).view(16, 7),
    "as many positions as channels": convolved(WORDS.transpose(1, 2), 7, 1).view(-1, 7),
    "as many pixels as channels": convolved(IMAGE, 36).view(-1, 36),
    "as many classes as positions": scored(WORDS, 7),
    "as many classes as positions, moved": scored(WORDS, 7).transpose(1, 2).view(4, 7, 7),
    "pairs": (torch.rand(4, 7, 5, requires_grad=True) @ WORDS.mT).view(4, 7, 7),
    "one position": convolved(WORDS[:, :, :1]).view(-1, 3),
    "one pixel": nn.Conv2d(2, 3, 6)(IMAGE).view(-1, 3),
    "one word": scored(WORDS[:, :1]).view(4, 3, 1),
    "one class": convolved(WORDS, 1).view(-1, 1),
    "there and back": scored(WORDS).flatten(1).view(4, 7, 3).transpose(1, 2),
    "no gradient": torch.randn(4, 7, 3).view(4, 3, 7),
    "a vector": scored(WORDS[0, 0]),
    "one part of two": scored(WORDS, 13).split([6, 7], -1)[1].reshape(-1, 7),
    "of unknown axes": scored(LONGER)[torch.tensor([0, 0])].view(2, 3, 9),
    "picked": scored(WORDS)[torch.rand(4, 7) < 2],
}


@pytest.mark.parametrize("scores", WELL.values(), ids=WELL)
def test_what_is_not_mixed(scores: Tensor) -> None:
    assert scramble(scores) is None


def test_the_reshape_that_mixed_is_told() -> None:
    mixed = scored(WORDS).view(4, 3, 7)
    found = scramble((mixed * 2).view(4, 3, 7, 1))
    assert found is not None and found.node is mixed.grad_fn
    assert (found.given, found.made) == ((4, 7, 3), (4, 3, 7))


@pytest.mark.parametrize(
    ("given", "axis", "made", "after"),
    [
        ((4, 7, 3), 2, (28, 3), 1),
        ((4, 7, 3), 2, (4, 7, 1, 3), 3),
        ((4, 3, 7), 1, (2, 2, 3, 7), 2),
        ((4, 3, 7), 1, (4, 21), None),
        ((4, 7, 3), 2, (4, 3, 7), None),
    ],
)
def test_where_an_axis_is_after_a_reshape(given, axis, made, after) -> None:
    assert axis_after(given, axis, made) == after
