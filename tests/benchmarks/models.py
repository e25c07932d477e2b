"""Training loops as people write them, for what is measured per step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = Callable[[], None]
"""One training step: forward, backward, optimizer."""


@dataclass(frozen=True)
class Classifier:
    """A model that learns the classes of one batch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    inputs: Tensor
    labels: Tensor

    def step(self) -> None:
        """Train on the batch."""
        loss = F.cross_entropy(self.model(self.inputs), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def mlp() -> Classifier:
    """Three linear layers, about 1 ms a step."""
    model = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    inputs, labels = torch.randn(128, 64), torch.randint(10, (128,))
    return Classifier(model, optimizer, inputs, labels)


def cnn() -> Classifier:
    """Six convolutions with batch norm, tens of milliseconds a step."""

    def block(channels: int, out: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        return [conv, nn.BatchNorm2d(out), nn.ReLU()]

    widths = [(3, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    layers = [layer for width in widths for layer in block(*width)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    images, labels = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    return Classifier(model, optimizer, images, labels)


class Block(nn.Module):
    """A pre-norm transformer block with causal attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """From and to (batch, time, width)."""
        batch, time, width = x.shape
        split = (batch, time, 3, self.heads, width // self.heads)
        query, key, value = self.qkv(self.norm_1(x)).view(split).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, time, width))
        return x + self.mlp(self.norm_2(x))


class Gpt(nn.Module):
    """A decoder-only transformer."""

    def __init__(self, layers: int = 4, width: int = 128, heads: int = 4, words: int = 256) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(1024, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits, shape (batch, time, words)."""
        x = self.words(tokens) + self.places(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]


def gpt() -> tuple[nn.Module, Step]:
    """Four blocks of width 128 on 8 times 64 tokens, tens of milliseconds a step."""
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    tokens = torch.randint(256, (8, 65))

    def step() -> None:
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 256), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model, step


def heads() -> tuple[nn.Module, Step]:
    """A shared encoder with two heads and a loss of two terms."""
    encoder = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 512), nn.GELU())
    classify, regress = nn.Linear(512, 10), nn.Linear(512, 64)
    model = nn.ModuleList([encoder, classify, regress])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    inputs, labels, targets = torch.randn(256, 256), torch.randint(10, (256,)), torch.randn(256, 64)

    def step() -> None:
        code = encoder(inputs)
        classification = F.cross_entropy(classify(code), labels)
        regression = F.mse_loss(regress(code), targets)
        loss = classification + 0.5 * regression
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model, step


class Recurrent(nn.Module):
    """A two-layer LSTM that predicts the next word."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(128, 96)
        self.lstm = nn.LSTM(96, 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, 128)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits, shape (batch, time, words)."""
        return self.head(self.lstm(self.words(tokens))[0])  # type: ignore[no-any-return]


def lstm() -> tuple[nn.Module, Step]:
    """A two-layer LSTM on 16 times 32 tokens, gradients clipped."""
    model = Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    tokens = torch.randint(128, (16, 33))

    def step() -> None:
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 128), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return model, step


CLASSIFIERS: dict[str, Callable[[], Classifier]] = {"mlp": mlp, "cnn": cnn}
_OTHERS: dict[str, Callable[[], tuple[nn.Module, Step]]] = {
    "gpt": gpt,
    "heads": heads,
    "lstm": lstm,
}
MODELS = (*CLASSIFIERS, *_OTHERS)


def build(name: str) -> tuple[nn.Module, Step]:
    """A model with its training step."""
    if name in CLASSIFIERS:
        classifier = CLASSIFIERS[name]()
        return classifier.model, classifier.step
    return _OTHERS[name]()
