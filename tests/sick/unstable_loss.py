"""Where a bright spot lies in a small picture, by a convolutional network and SGD."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(11)
grid = torch.stack(torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij"))


def pictures(count):
    spot = 1 + 9 * torch.rand(count, 2)
    distance = (grid[None] - spot[:, :, None, None]).square().sum(1)
    picture = torch.exp(-distance / 4) + 0.1 * torch.randn(count, 12, 12)
    return picture[:, None], spot / 5.5 - 1


class Finder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.point = nn.Linear(144, 2)

    def forward(self, x):
        x = F.relu(self.first(x))
        x = F.relu(self.second(x))
        return self.point(x.flatten(1))


def train(model, data, held_out, rounds=12):
    sgd = torch.optim.SGD(model.parameters(), lr=1.5, momentum=0.9)
    x, y = data
    for n in range(rounds):
        for rows in torch.randperm(len(x)).split(32):
            loss = F.smooth_l1_loss(model(x[rows]), y[rows])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        with torch.no_grad():
            distance = (model(held_out[0]) - held_out[1]).norm(dim=1).mean().item()
        print(f"[{n}] loss: {loss.item():.5f}, val_distance: {distance:.5f}")


train(Finder(), pictures(800), pictures(300))
