"""Tells the make of an engine from the spectrum of its sound."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAKES = 12
BANDS = 40


def make_sounds(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws spectra, shaped (count, BANDS), and the make of each: how its harmonics are spaced."""
    make = torch.randint(MAKES, (count,), generator=generator)
    speed = 0.6 + 0.04 * torch.rand(count, 1, generator=generator)
    band = torch.arange(BANDS)
    spacing = 0.35 + 0.22 * make[:, None]
    spectrum = torch.cos(spacing * speed * band) + 0.5 * torch.cos(2 * spacing * speed * band)
    return spectrum + 0.3 * torch.randn(count, BANDS, generator=generator), make


class Classifier(nn.Module):
    """Three hidden layers with dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        """Builds the layers."""
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(BANDS, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.make = nn.Linear(width, MAKES)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Maps (batch, BANDS) to (batch, MAKES)."""
        return self.make(self.net(spectrum))


def main() -> None:
    """Trains the classifier and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    spectrum, make = make_sounds(1536, generator)
    val_spectrum, val_make = make_sounds(512, generator)
    model = Classifier(args.width, dropout=0.9)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(spectrum)).split(args.batch_size):
            loss = F.cross_entropy(model(spectrum[rows]), make[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            val_acc = (model(val_spectrum).argmax(1) == val_make).float().mean().item()
        print(f"epoch {epoch} train_loss={total / len(spectrum):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
