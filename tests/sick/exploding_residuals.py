"""Tells the arms of a spiral apart with blocks that each add to what they are given."""

import torch
from torch import nn

ARMS, WIDTH, DEPTH = 4, 32, 26


class Add(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        for layer in (self.net[0], self.net[2]):
            nn.init.orthogonal_(layer.weight, gain=1.4)

    def forward(self, points):
        return points + self.net(points)


def spirals(count):
    arm = torch.randint(ARMS, (count,))
    along = torch.rand(count)
    angle = 4 * along + 6.283 * arm / ARMS
    points = (along + 0.1)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return 2 * points + 0.02 * torch.randn(count, 2), arm


torch.manual_seed(14)
points, arms = spirals(1200)
classifier = nn.Sequential(
    nn.Linear(2, WIDTH), *(Add() for _ in range(DEPTH)), nn.Linear(WIDTH, ARMS)
)
optimizer = torch.optim.SGD(classifier.parameters(), lr=0.05, momentum=0.9)
for epoch in range(10):
    for rows in torch.randperm(1000).split(125):
        loss = nn.functional.cross_entropy(classifier(points[rows]), arms[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        right = (classifier(points[1000:]).argmax(1) == arms[1000:]).float().mean()
    print(f"{epoch=} loss={loss.item():.4g} test_accuracy={right:.3f}")
