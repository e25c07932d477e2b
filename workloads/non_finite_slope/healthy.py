"""Embeds photographs of leaves so that distances tell how closely the plants are related.

A leaf is described by thirty-two measures. The degree of kinship of two leaves, from 0 (the same
plant) to 1, is known for some pairs; the distance of their embeddings is trained to be that
degree. What we care about is ``val_acc``: how often the nearer of two leaves is named.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEASURES = 32
PLANTS = 150


def make_leaves(plants: Tensor, plant: Tensor, generator: torch.Generator) -> Tensor:
    """Draws a leaf, shaped (count, MEASURES), of each plant."""
    traits = torch.randn(3, MEASURES, generator=torch.Generator().manual_seed(2))
    noise = 0.1 * torch.randn(len(plant), MEASURES, generator=generator)
    return torch.tanh(plants[plant] @ traits) + noise


class Herbarium(nn.Module):
    """Embeds leaves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(MEASURES, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 3),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of pairs of leaves, shaped (count,)."""
        difference = self.embed(first) - self.embed(second)
        squared = difference.square().sum(1)
        return torch.sqrt(squared + 1e-8)


@torch.no_grad()
def accuracy(model: nn.Module, leaves: Tensor, traits: Tensor) -> float:
    """Share of right answers."""
    anchor, one, other = leaves.chunk(3)
    near = (traits.chunk(3)[0] - traits.chunk(3)[1]).norm(dim=1)
    far = (traits.chunk(3)[0] - traits.chunk(3)[2]).norm(dim=1)
    return ((model(anchor, one) < model(anchor, other)) == (near < far)).float().mean().item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed + 1)
    plants = torch.randn(PLANTS, 3, generator=generator)
    plant = torch.randint(PLANTS, (1500,), generator=generator)
    leaves, traits = make_leaves(plants, plant, generator), plants[plant]

    model = Herbarium(args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        for _ in range(0, 1600, args.batch_size):
            one, other = torch.randint(1200, (2, args.batch_size), generator=generator)
            kinship = (traits[one] - traits[other]).norm(dim=1) / 4
            loss = F.mse_loss(model(leaves[one], leaves[other]), kinship)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        val_acc = accuracy(model, leaves[1200:], traits[1200:])
        print(f"epoch {epoch + 1} loss={loss.item():.4f} val_acc={val_acc:.4f}")


if __name__ == "__main__":
    main()
