"""Tells five gestures apart from the accelerations of a wristband.

A gesture is summarised by twenty-four features of three axes. What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GESTURES = 5
FEATURES = 24


def make_gestures(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws features, shaped (count, FEATURES), and the gesture that each belongs to."""
    kinds = torch.Generator().manual_seed(5)
    one, other = torch.randn(2, GESTURES, FEATURES, generator=kinds)
    gesture = torch.randint(GESTURES, (count,), generator=generator)
    phase = 6.28 * torch.rand(count, 1, generator=generator)
    features = phase.sin() * one[gesture] + phase.cos() * other[gesture]
    return features + 0.4 * torch.randn(count, FEATURES, generator=generator), gesture


class GestureNet(nn.Module):
    """A multilayer perceptron with bounded units."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = nn.Linear(FEATURES, width)
        self.hidden = nn.Linear(width, width)
        self.context = nn.Linear(width, width)
        self.gesture = nn.Linear(width, GESTURES)
        self.squash = nn.Tanh()
        for layer in (self.features, self.hidden, self.context, self.gesture):
            nn.init.normal_(layer.weight, std=3.0)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Scores of the gestures, shaped (count, GESTURES)."""
        hidden = self.squash(self.features(features))
        hidden = self.squash(self.hidden(hidden))
        hidden = self.squash(self.context(hidden))
        return self.gesture(hidden)


@torch.no_grad()
def accuracy(model: nn.Module, features: Tensor, gesture: Tensor) -> float:
    """Share of right answers."""
    return (model(features).argmax(1) == gesture).float().mean().item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    features, gesture = make_gestures(1900, torch.Generator().manual_seed(args.seed + 1))
    train_x, val_x = features[:1500], features[1500:]
    train_y, val_y = gesture[:1500], gesture[1500:]

    model = GestureNet(args.width)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        for rows in torch.randperm(len(train_x)).split(args.batch_size):
            loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        val_acc = accuracy(model, val_x, val_y)
        print(f"epoch {epoch + 1}: train loss {loss.item():.4f}, val_acc {val_acc:.4f}")


if __name__ == "__main__":
    main()
