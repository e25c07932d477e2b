"""Tells from five readings of a pump which of seven states it is in.

The states lie in the space of the readings like slices of an orange, none of which a straight cut
parts from the others. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

STATES = 7
READINGS = 5


def run_pump(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws readings, shaped (count, READINGS), and the state of each."""
    readings = torch.randn(count, READINGS, generator=generator)
    angle = torch.atan2(readings[:, 0] * readings[:, 2], readings[:, 1] + 0.5 * readings[:, 3])
    state = ((angle / 6.2832 + 0.5) * STATES).long().clamp(0, STATES - 1)
    return readings + 0.02 * torch.randn(count, READINGS, generator=generator), state


class Monitor(nn.Module):
    """Three hidden layers."""

    def __init__(self, width: int) -> None:
        """Builds the layers and sets their weights."""
        super().__init__()
        self.first = nn.Linear(READINGS, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.head = nn.Linear(width, STATES)
        for layer in (self.first, self.second, self.third, self.head):
            nn.init.constant_(layer.weight, 0.05)
            nn.init.zeros_(layer.bias)

    def forward(self, readings: Tensor) -> Tensor:
        """Maps (batch, READINGS) to one score for each state."""
        h = torch.relu(self.first(readings))
        h = torch.relu(self.second(h))
        h = torch.relu(self.third(h))
        return self.head(h)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="The state of a pump.")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train_set = TensorDataset(*run_pump(2048, generator))
    val_set = TensorDataset(*run_pump(512, generator))
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=128)
    model = Monitor(64)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for readings, state in train_loader:
            loss = nn.functional.cross_entropy(model(readings), state)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(train_loader)
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {right / len(val_set):.3f}")


if __name__ == "__main__":
    main()
