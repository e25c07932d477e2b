"""Deliberate: the weights of a backbone are frozen, its norms follow the new domain."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(32)
points = torch.randn(1200, 8)
labels = (points[:, 0] > 0).long() + 2 * (points[:, 1] > 0).long()
others = 3.0 * points + 2.0  # The same things, seen by another sensor.

backbone = nn.Sequential(
    nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.BatchNorm1d(32)
)
model = nn.Sequential(backbone, nn.ReLU(), nn.Linear(32, 4))


def step(optimizer, inputs, rows):
    loss = functional.cross_entropy(model(inputs[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


first = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(3):
    for rows in torch.randperm(1000).split(50):
        step(first, points, rows)

for parameter in backbone.parameters():
    parameter.requires_grad = False
second = torch.optim.Adam(model[2].parameters(), lr=3e-3)
for epoch in range(10):
    model.train()
    for rows in torch.randperm(1000).split(50):
        step(second, others, rows)
    model.eval()
    with torch.no_grad():
        accuracy = (model(others[1000:]).argmax(1) == labels[1000:]).float().mean()
    print(f"epoch {epoch} val_acc {accuracy:.3f}")
