"""Guesses the crop of a field from what a satellite saw of it over a season.

Eight crops differ in how their brightness in five bands goes with the weeks. We look at
``val_acc``.
"""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CROPS, BANDS, WEEKS = 8, 5, 16


def survey(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws fields, shaped (count, BANDS, WEEKS), and what grows on them."""
    shapes = torch.Generator().manual_seed(3)
    rhythm = 1 + 2 * torch.rand(CROPS, BANDS, 1, generator=shapes)
    phase = 2 * math.pi * torch.rand(CROPS, BANDS, 1, generator=shapes)
    crop = torch.randint(CROPS, (count,), generator=generator)
    delay = 0.5 * torch.randn(count, 1, 1, generator=generator)
    time = 2 * math.pi * torch.arange(WEEKS) / WEEKS
    season = torch.sin(rhythm[crop] * time + phase[crop] + delay)
    return season + 0.6 * torch.randn(season.shape, generator=generator), crop


class CropNet(nn.Module):
    """A perceptron whose body makes features for a linear head."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(BANDS * WEEKS, width), nn.Tanh(), nn.Linear(width, width // 8), nn.Tanh()
        )
        self.head = nn.Linear(width // 8, CROPS)

    def forward(self, fields: Tensor) -> Tensor:
        """Gives scores, shaped (batch, CROPS)."""
        return self.head(self.body(fields.flatten(1)))


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Crops from satellite images.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--body-lr", type=float, default=3e-7)
    parser.add_argument("--head-lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    fields, crops = survey(1600, generator)
    val_fields, val_crops = survey(600, generator)
    model = CropNet(width=64)
    groups = [
        {"params": model.body.parameters(), "lr": args.body_lr},
        {"params": model.head.parameters(), "lr": args.head_lr},
    ]
    optimizer = torch.optim.Adam(groups)

    for epoch in range(1, args.epochs + 1):
        model.train()
        for rows in torch.randperm(len(crops)).split(args.batch_size):
            loss = F.cross_entropy(model(fields[rows]), crops[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            hits = (model(val_fields).argmax(dim=1) == val_crops).float().mean()
        print(f"epoch {epoch} loss={loss.item():.4f} val_acc={hits:.4f}")


if __name__ == "__main__":
    main()
