"""Tells six gestures apart from what an armband measures.

A gesture is a slow wave on eight channels whose phases and amplitudes depend on the gesture; the
network is a small convolutional one with a penalty on its weights. We look at ``val_acc``.
"""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GESTURES, CHANNELS, LENGTH = 6, 8, 32


def record(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws recordings, shaped (count, CHANNELS, LENGTH), and which gesture each one is."""
    shapes = torch.Generator().manual_seed(11)
    phase = 2 * math.pi * torch.rand(GESTURES, CHANNELS, 1, generator=shapes)
    loud = torch.rand(GESTURES, CHANNELS, 1, generator=shapes)
    gesture = torch.randint(GESTURES, (count,), generator=generator)
    time = torch.arange(LENGTH) / LENGTH + 0.2 * torch.rand(count, 1, 1, generator=generator)
    wave = loud[gesture] * torch.sin(4 * math.pi * time + phase[gesture])
    return wave + 0.4 * torch.randn(wave.shape, generator=generator), gesture


class GestureNet(nn.Module):
    """Two convolutions over time, and a linear layer."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, width, 5, stride=2)
        self.second = nn.Conv1d(width, width, 5, stride=2)
        self.head = nn.Linear(5 * width, GESTURES)

    def forward(self, recordings: Tensor) -> Tensor:
        """Gives scores, shaped (batch, GESTURES)."""
        hidden = F.gelu(self.second(F.gelu(self.first(recordings))))
        return self.head(hidden.flatten(1))


def weight_penalty(model: nn.Module) -> Tensor:
    """Gives the sum of the squares of all weights."""
    return sum(p.square().sum() for p in model.parameters() if p.dim() > 1)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Gestures from an armband.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--penalty", type=float, default=1e-1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    recordings, gestures = record(1200, generator)
    val_recordings, val_gestures = record(400, generator)
    model = GestureNet(width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(gestures)).split(args.batch_size):
            error = F.cross_entropy(model(recordings[rows]), gestures[rows])
            loss = error + args.penalty * weight_penalty(model)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            hits = (model(val_recordings).argmax(dim=1) == val_gestures).float().mean()
        print(f"epoch {epoch} loss={total * args.batch_size / 1200:.4f} val_acc={hits:.4f}")


if __name__ == "__main__":
    main()
