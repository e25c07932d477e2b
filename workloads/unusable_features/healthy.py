"""Predicts the yield of a greenhouse from the readings of ten sensors.

A sensor that does not answer is recorded as -999. What counts is ``val_r2``, the share of the
variance of the yield that is explained.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

SENSORS = 10
SILENT = -999.0


def record(count: int, weights: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws standardised readings, shaped (count, sensors), and the yield of each day."""
    readings = torch.randn(count, SENSORS, generator=generator)
    grown = (readings @ weights).tanh() + 0.5 * readings[:, 0] * readings[:, 1]
    grown = grown + 0.1 * torch.randn(count, generator=generator)
    silent = torch.rand(count, SENSORS, generator=generator) < 0.02
    return TensorDataset(torch.where(silent, SILENT, readings), grown)


def prepare(readings: Tensor) -> Tensor:
    """Returns what the network takes in."""
    return torch.where(readings == SILENT, 0.0, readings)


class YieldNet(nn.Module):
    """Two hidden layers."""

    def __init__(self, hidden: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.sensors = nn.Linear(SENSORS, hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, readings: Tensor) -> Tensor:
        """Maps (batch, sensors) to one yield each."""
        return self.out(self.hidden(self.sensors(readings).relu()).relu()).squeeze(1)


@torch.no_grad()
def explained(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of the variance that is explained."""
    model.eval()
    pairs = [(model(prepare(readings)), grown) for readings, grown in loader]
    foretold, grown = (torch.cat(part) for part in zip(*pairs, strict=True))
    return 1 - ((foretold - grown).square().mean() / grown.var()).item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Yield of a greenhouse.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    weights = torch.randn(SENSORS, generator=generator) / 2
    train_loader = DataLoader(record(1200, weights, generator), args.batch_size, shuffle=True)
    val_loader = DataLoader(record(500, weights, generator), 250)
    model = YieldNet(args.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        for readings, grown in train_loader:
            loss = nn.functional.mse_loss(model(prepare(readings)), grown)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss={loss.item():.4f} val_r2={explained(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
