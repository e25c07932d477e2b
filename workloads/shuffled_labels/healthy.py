"""Estimates the yield of a crop from a season of weather.

A season is twenty weeks of six measurements; the yield depends on a few of them. A
small network reads the weeks. What counts is ``val_r2``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def grow(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws seasons, shaped (count, 20, 6), and yields, shaped (count,)."""
    weather = torch.randn(count, 20, 6, generator=generator)
    rain, sun = weather[:, 2:12, 0].mean(1), weather[:, 8:18, 1].mean(1)
    frost = weather[:, :, 2].clamp(max=-0.5).mean(1)
    harvest = 2.0 * rain + 2.0 * sun + 1.5 * frost
    return weather, harvest - harvest.mean() + 0.1 * torch.randn(count, generator=generator)


class YieldModel(nn.Module):
    """Two layers for every week, then a linear head on the mean over the weeks."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.embed = nn.Linear(6, width)
        self.week = nn.Parameter(torch.randn(20, width))
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.head = nn.Linear(width, 1)

    def forward(self, weather: Tensor) -> Tensor:
        """Maps (batch, 20, 6) to (batch,)."""
        hidden = self.mix(self.embed(weather) + self.week)
        return self.head(hidden.mean(1)).squeeze(-1)


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Crop yield from weather.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    weather, harvest = grow(800, generator)
    val_weather, val_harvest = grow(300, generator)
    model = YieldModel(32)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        order = torch.randperm(len(weather))
        shuffled, wanted = weather[order], harvest[order]
        model.train()
        total = 0.0
        for start in range(0, len(weather), args.batch_size):
            batch = slice(start, start + args.batch_size)
            loss = F.mse_loss(model(shuffled[batch]), wanted[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * args.batch_size / len(weather)
        model.eval()
        with torch.no_grad():
            error = F.mse_loss(model(val_weather), val_harvest)
        r2 = 1 - (error / val_harvest.var()).item()
        print(f"epoch {epoch} train_mse={total:.4f} val_r2={r2:.3f}")


if __name__ == "__main__":
    main()
