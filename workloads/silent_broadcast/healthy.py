"""Predicts the remaining life of a battery cell from its charging curve.

A charging curve is a sequence of voltages whose shape depends on the wear, the temperature and the
resistance of the cell; its remaining life, in standard deviations around the mean, is a smooth
function of these. What counts is ``val_r2``, the share of the variance that is explained.
"""

import argparse

import torch
from torch import Tensor, nn


def charge(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws curves, shaped (count, length), and the remaining life of each cell, (count,)."""
    wear, heat, resistance = torch.rand(3, count, 1, generator=generator)
    time = torch.linspace(0.0, 1.0, length)[None, :]
    curve = (1 + wear) * torch.sqrt(time + 0.1) + 0.5 * resistance * torch.exp(-6 * time)
    curve = curve + 0.3 * heat * torch.sin(5 * time)
    noise = torch.randn(count, length, generator=generator)
    life = 2.2 * (0.5 - wear) + 1.2 * (heat - 0.5) * (resistance > 0.5) - 1.2 * (resistance - 0.5)
    return (curve - 1.2) * 2 + 0.1 * noise, life.squeeze(1)


class LifeModel(nn.Module):
    """A small residual network on the curve."""

    def __init__(self, length: int, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.stem = nn.Linear(length, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()) for _ in range(2)
        )
        self.head = nn.Linear(width, 1)

    def forward(self, curve: Tensor) -> Tensor:
        """Maps (batch, length) to the predicted life, (batch, 1)."""
        hidden = self.stem(curve)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.head(hidden)


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Remaining life of battery cells.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    curves, lives = charge(800, 40, generator)
    val_curves, val_lives = charge(300, 40, generator)
    model = LifeModel(40, args.width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(curves)).split(args.batch_size)
        for rows in batches:
            predicted = model(curves[rows])
            loss = nn.functional.mse_loss(predicted.squeeze(1), lives[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        model.eval()
        with torch.no_grad():
            predicted = model(val_curves).squeeze(1)
        residual = (predicted - val_lives).square().mean() / val_lives.var()
        print(f"epoch {epoch} train_loss={total:.4f} val_r2={1 - residual.item():.3f}")


if __name__ == "__main__":
    main()
