"""Tells kinds of tea by the spectrum of the light that their leaves throw back.

A spectrum has 48 bands. Every kind has absorption lines of its own, whose depth depends on the
harvest; the measurements lie there as they were made, one kind of tea after another. What counts is
``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = 10
BANDS = 48


def lines(generator: torch.Generator) -> Tensor:
    """Draws the absorption of each kind, shaped (KINDS, BANDS)."""
    band = torch.arange(BANDS, dtype=torch.float32)
    place = BANDS * torch.rand(KINDS, 4, 1, generator=generator)
    depth = 0.5 + torch.rand(KINDS, 4, 1, generator=generator)
    return (depth * torch.exp(-(((band - place) / 2.5) ** 2))).sum(1)


def measure(kinds: Tensor, absorption: Tensor, generator: torch.Generator) -> Tensor:
    """Measures one spectrum for each of the kinds, shaped (count, BANDS)."""
    harvest = 0.7 + 0.6 * torch.rand(len(kinds), 1, generator=generator)
    light = 1 + 0.2 * torch.randn(len(kinds), 1, generator=generator)
    noise = 0.25 * torch.randn(len(kinds), BANDS, generator=generator)
    return light - harvest * absorption[kinds] + noise


class Taster(nn.Module):
    """Three linear layers."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(BANDS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.head = nn.Linear(width, KINDS)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Maps (batch, BANDS) to one score for each kind."""
        return self.head(self.layers(spectrum))


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Recognition of tea.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    absorption = lines(generator)
    train_kinds = torch.arange(KINDS).repeat_interleave(160)
    val_kinds = torch.arange(KINDS).repeat_interleave(40)
    train_set = TensorDataset(measure(train_kinds, absorption, generator), train_kinds)
    val_set = TensorDataset(measure(val_kinds, absorption, generator), val_kinds)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)
    model = Taster(64)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for spectrum, kind in train_loader:
            loss = nn.functional.cross_entropy(model(spectrum), kind)
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
