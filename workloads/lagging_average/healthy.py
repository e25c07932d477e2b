"""Tells kinds of defects on cold-rolled steel from small grey images of the strip.

Scratches run along the strip, chatter marks across it, scale lies in patches and pits are dots; the
light falls unevenly. What counts is ``val_acc``, the accuracy of an average of the weights: this is
the model that goes to the mill.
"""

import argparse
import copy

import torch
from torch import Tensor, nn


def strips(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws images, shaped (count, 1, size, size), and their kinds of defect, (count,)."""
    kinds = torch.randint(4, (count,), generator=generator)
    place = torch.rand(count, 1, 1, generator=generator)
    across = torch.linspace(0.0, 1.0, size)[None, None, :]
    along = torch.linspace(0.0, 1.0, size)[None, :, None]
    scratch = (-(((across - place) / 0.06) ** 2)).exp().expand(count, size, size)
    chatter = torch.sin(2 * torch.pi * (4 * along + place)).expand(count, size, size)
    coarse = torch.rand(count, 1, 4, 4, generator=generator)
    scale = nn.functional.interpolate(coarse, size, mode="bilinear").squeeze(1)
    pits = (torch.rand(count, size, size, generator=generator) < 0.04).float()
    defects = torch.stack([1.5 * scratch, 0.5 * chatter, 2 * scale - 1, 1.5 * pits], dim=1)
    light = 0.8 * (across * torch.randn(count, 1, 1, generator=generator))
    noise = 0.5 * torch.randn(count, size, size, generator=generator)
    return (defects[torch.arange(count), kinds] + light + noise).unsqueeze(1), kinds


class Inspector(nn.Module):
    """A small convolutional network."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.GroupNorm(4, width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.GroupNorm(4, 2 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.head = nn.Linear(8 * width, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (batch, 1, size, size) to logits, (batch, 4)."""
        return self.head(self.features(images).flatten(1))


class Average:
    """An exponential moving average of the weights of a model."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begins with the weights of the model."""
        self.model = copy.deepcopy(model).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes the weights of the model in."""
        for average, weights in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(weights, 1 - self.decay)


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Defects on steel strips.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--ema-decay", type=float, default=0.98)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    images, kinds = strips(1024, 16, generator)
    val_images, val_kinds = strips(400, 16, generator)
    model = Inspector(args.width)
    average = Average(model, args.ema_decay)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(images)).split(args.batch_size)
        for rows in batches:
            loss = nn.functional.cross_entropy(model(images[rows]), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update(model)
            total += loss.item() / len(batches)
        with torch.no_grad():
            correct = average.model(val_images).argmax(1) == val_kinds
        print(f"epoch {epoch} train_loss={total:.4f} val_acc={correct.float().mean().item():.3f}")


if __name__ == "__main__":
    main()
