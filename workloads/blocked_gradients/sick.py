"""Adapts a classifier of gestures to a glove that was put on the other hand.

A network learns gestures from the sensors of one glove. On the other hand the sensors lie in
another order and are bent the other way: the weights are kept as they are, and each layer is given
a low-rank adapter (LoRA). What counts is ``val_acc`` on the other hand.
"""

import argparse

import torch
from torch import Tensor, nn

GESTURES = 12
SENSORS = 24


class Glove:
    """Draws what the sensors of a glove say while a gesture is made."""

    def __init__(self, generator: torch.Generator) -> None:
        """Draws two poses for each gesture, and how the other hand lies."""
        self.generator = generator
        self.poses = torch.randn(GESTURES, 2, SENSORS, generator=generator)
        self.order = torch.randperm(SENSORS, generator=generator)

    def wear(self, count: int, other: bool) -> tuple[Tensor, Tensor]:
        """Draws sensors, shaped (count, SENSORS), and the gesture of each."""
        gesture = torch.randint(GESTURES, (count,), generator=self.generator)
        pose = torch.randint(2, (count,), generator=self.generator)
        noise = 0.7 * torch.randn(count, SENSORS, generator=self.generator)
        sensors = self.poses[gesture, pose] + noise
        return (-sensors[:, self.order] if other else sensors), gesture


class Adapter(nn.Module):
    """A linear layer that stays as it is, and a product of two thin matrices beside it."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        """Takes the layer over."""
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.zeros(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, inputs) to (batch, outputs)."""
        return self.layer(x) + x @ self.down.T @ self.up.T


Data = tuple[Tensor, Tensor]


def train(model: nn.Module, data: Data, epochs: int, lr: float, val: Data | None = None) -> None:
    """Trains what asks for a gradient, and prints one line per epoch where there is ``val``."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    for epoch in range(1, epochs + 1):
        total = 0.0
        batches = torch.randperm(len(data[0])).split(32)
        for rows in batches:
            loss = nn.functional.cross_entropy(model(data[0][rows]), data[1][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        if val is not None:
            with torch.no_grad():
                accuracy = (model(val[0]).argmax(1) == val[1]).float().mean().item()
            print(f"epoch {epoch} train_loss {total:.4f} val_acc {accuracy:.3f}")


def main() -> None:
    """Trains on one hand, then adapts to the other."""
    parser = argparse.ArgumentParser(description="Gestures of two hands.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    glove = Glove(torch.Generator().manual_seed(args.seed))
    layers = [nn.Linear(SENSORS, 64), nn.Linear(64, 64), nn.Linear(64, GESTURES)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    train(model, glove.wear(1024, other=False), 3, args.lr)

    model[0], model[2] = Adapter(layers[0], args.rank), Adapter(layers[1], args.rank)
    ours, val = glove.wear(1024, other=True), glove.wear(512, other=True)
    train(model, ours, args.epochs, args.lr, val)


if __name__ == "__main__":
    main()
