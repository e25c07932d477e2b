"""Tells which of six exercises a watch was worn at, from what its accelerometer logged.

A record has 40 moments of three axes; every exercise has a rhythm and a direction of its own, the
start of a record is anywhere in the movement. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EXERCISES = 6
MOMENTS = 40


def wear(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws records, shaped (count, MOMENTS, 3), and the exercise of each."""
    exercise = torch.randint(EXERCISES, (count,), generator=generator)
    time = torch.arange(MOMENTS, dtype=torch.float32)
    rhythm = (0.25 + 0.12 * (exercise % 3))[:, None]
    phase = 6.28 * torch.rand(count, 1, generator=generator)
    swing = torch.sin(rhythm * time + phase)
    double = torch.sin(2 * rhythm * time + phase)
    tilted = (exercise >= 3).float()[:, None]
    axes = torch.stack([swing, tilted * double, (1 - tilted) * double], dim=-1)
    return axes + 0.4 * torch.randn(count, MOMENTS, 3, generator=generator), exercise


class Coach(nn.Module):
    """An LSTM over the moments, and a linear layer on its last output."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.lstm = nn.LSTM(3, width)
        self.head = nn.Linear(width, EXERCISES)

    def forward(self, record: Tensor) -> Tensor:
        """Maps (batch, MOMENTS, 3) to one score for each exercise."""
        outputs, _ = self.lstm(record)
        return self.head(outputs[:, -1])


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Recognition of exercises.")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train_set = TensorDataset(*wear(768, generator))
    val_set = TensorDataset(*wear(256, generator))
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=args.batch_size)
    model = Coach(48)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for record, exercise in train_loader:
            loss = nn.functional.cross_entropy(model(record), exercise)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() / len(train_loader)
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {right / len(val_set):.3f}")


if __name__ == "__main__":
    main()
