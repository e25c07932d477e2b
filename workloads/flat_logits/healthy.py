"""Recognises the moth species that a wing pattern belongs to, by its angle to each species.

A wing pattern is a vector of colour readings along the wing. Each species has a pattern of its
own, which lies beside those of its relatives in the same family and varies with age and light. The
classifier compares directions alone, so that no species is favoured for having longer weights.
What counts is ``val_acc``, the share of held-out moths that are recognised.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def catch(count: int, species: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws wing patterns, shaped (count, readings), and the species of each, (count,)."""
    kind = torch.randint(len(species), (count,), generator=generator)
    age = torch.rand(count, 1, generator=generator)
    light = 0.5 * torch.randn(count, 1, generator=generator)
    noise = torch.randn(count, species.shape[1], generator=generator)
    return torch.tanh((1 - 0.3 * age) * species[kind] + light) + 0.5 * noise, kind


class MothNet(nn.Module):
    """Embeds a pattern and compares it with one direction per species."""

    def __init__(self, readings: int, width: int, species: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(readings, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 48)
        )
        self.directions = nn.Parameter(torch.randn(species, 48))

    def forward(self, pattern: Tensor) -> Tensor:
        """Maps (batch, readings) to one score per species, (batch, species)."""
        embedded = F.normalize(self.embed(pattern), dim=1)
        return 16 * embedded @ F.normalize(self.directions, dim=1).T


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Moth species by their wings.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--species", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    families = torch.randn(args.species // 6, 32, generator=generator).repeat(6, 1)
    species = families + 0.5 * torch.randn(len(families), 32, generator=generator)
    patterns, kinds = catch(4800, species, generator)
    val_patterns, val_kinds = catch(1200, species, generator)
    model = MothNet(32, args.width, len(species))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(patterns)).split(args.batch_size)
        for rows in batches:
            loss = F.cross_entropy(model(patterns[rows]), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        model.eval()
        with torch.no_grad():
            right = (model(val_patterns).argmax(1) == val_kinds).float().mean()
        print(f"epoch {epoch} train_loss={total:.4f} val_acc={right.item():.3f}")


if __name__ == "__main__":
    main()
