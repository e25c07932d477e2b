"""Trains an encoder of point clouds and a head that tells shapes apart."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = 5


def make_clouds(count: int, points: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws closed curves in the plane as points, shaped (count, points, 2), and their kinds."""
    kind = torch.randint(KINDS, (count,), generator=generator)
    angle = 6.28 * torch.rand(count, points, generator=generator)
    turn = 0.8 * torch.rand(count, 1, generator=generator)
    radius = 1 + 0.35 * torch.cos((kind[:, None] + 2) * angle + turn)
    cloud = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1)
    return cloud + 0.03 * torch.randn(count, points, 2, generator=generator), kind


class Encoder(nn.Module):
    """Looks at every point alone and keeps the strongest responses."""

    def __init__(self, width: int, features: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.points = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.project = nn.Linear(width, features)

    def forward(self, cloud: Tensor) -> Tensor:
        """Maps (batch, points, 2) to (batch, features)."""
        return self.project(self.points(cloud)).amax(dim=1)


class Model(nn.Module):
    """An encoder and a head; keeps a running scale of the features."""

    def __init__(self, width: int) -> None:
        """Builds the parts."""
        super().__init__()
        self.encoder = Encoder(width, 4)
        self.head = nn.Linear(4, KINDS)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, cloud: Tensor) -> Tensor:
        """Maps (batch, points, 2) to (batch, kinds)."""
        features = self.encoder(cloud)
        if self.training:
            self.scale = 0.9 * self.scale + 0.1 * features.detach().std()
        return self.head(features / self.scale)


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    cloud, kind = make_clouds(1024, 24, generator)
    val_cloud, val_kind = make_clouds(384, 24, generator)
    model = Model(32)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(cloud)).split(args.batch_size):
            loss = F.cross_entropy(model(cloud[rows]), kind[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            val_acc = (model(val_cloud).argmax(1) == val_kind).float().mean().item()
        print(f"epoch {epoch} train_loss={total / len(cloud):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
