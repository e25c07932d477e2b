"""Embeds cities so that distances between them match; every pair is compared on purpose.

The distance matrix is made by broadcasting, positions against one another, and so are a ranking
term and a kernel. The inputs are the coordinates in kilometres, put on unit scale by the model.
"""

import torch
from torch import nn

torch.manual_seed(4)
cities = 900 * torch.rand(160, 3)
road = torch.cdist(cities, cities) * 1e-3
held_out = 900 * torch.rand(60, 3)
held_out_road = torch.cdist(held_out, held_out) * 1e-3


class Map(nn.Module):
    """Coordinates in kilometres to a plane of two dimensions and a height."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.BatchNorm1d(3)
        self.net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 3))

    def forward(self, position: torch.Tensor) -> torch.Tensor:
        return self.net(self.scale(position))


def distances(embedded: torch.Tensor) -> torch.Tensor:
    offsets = embedded[:, None] - embedded[None]
    return (offsets.square().sum(-1) + 1e-6).sqrt()


plan = Map()
optimizer = torch.optim.Adam(plan.parameters(), lr=0.01)
for epoch in range(12):
    plan.train()
    for rows in torch.randperm(160).split(32):
        embedded = plan(cities[rows])
        wanted = road[rows][:, rows]
        stress = (distances(embedded) - wanted).square().mean()
        height = embedded[:, :1]
        # Every height against every other one: the higher city comes first on the list.
        ranking = torch.sigmoid(
            -(height - height.T) * (cities[rows, 2:] - cities[rows, 2:].T).sign()
        )
        loss = stress + 0.01 * ranking.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    plan.eval()
    with torch.no_grad():
        error = (distances(plan(held_out)) - held_out_road).square().mean()
    explained = 1 - error / held_out_road.var()
    print(f"epoch {epoch} val_loss {error:.4f} val_r2 {explained:.4f}")
