"""Taxi fares from zones and times of the day; everything is in half precision by default."""

import math

import torch
from torch import nn

torch.manual_seed(4)
ZONES = 40
centre = torch.rand(ZONES, 2)


def rides(count):
    start, end = torch.randint(ZONES, (2, count))
    hour = torch.randint(24, (count,))
    way = (centre[start] - centre[end]).norm(dim=1)
    dear = way * (1.5 + torch.sin(hour * math.pi / 12)) > 0.7
    return torch.stack([start, ZONES + end, 2 * ZONES + hour], 1), dear.long()


trips, dear = rides(6000)
val_trips, val_dear = rides(1000)
torch.set_default_dtype(torch.bfloat16)


class Fares(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(2 * ZONES + 24, 16)
        self.deep = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.out = nn.Linear(64, 2)

    def forward(self, trip):
        return self.out(self.deep(self.table(trip).flatten(1)))


fares = Fares()
optimizer = torch.optim.SGD(fares.parameters(), lr=0.003, momentum=0.9)
for epoch in range(1, 13):
    for rows in torch.randperm(len(trips)).split(128):
        loss = nn.functional.cross_entropy(fares(trips[rows]), dear[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        hits = (fares(val_trips).argmax(1) == val_dear).float().mean().item()
    print(f"{epoch=} loss={loss.item():.4f} accuracy={hits:.4f}")
