"""Deliberate: a backbone is left out of the optimizer and stays in evaluation mode."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(12)
points = torch.randn(1600, 6)
labels = (points[:, 0] > 0).long() + 2 * (points[:, 1] > 0).long()


def make_backbone():
    return nn.Sequential(
        nn.Linear(6, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 48)
    )


pretrained = nn.Sequential(make_backbone(), nn.Linear(48, 6))
warm = torch.optim.Adam(pretrained.parameters(), lr=3e-3)
for rows in torch.randperm(1600).split(40):
    warm.zero_grad()
    functional.mse_loss(pretrained(points[rows]), points[rows]).backward()
    warm.step()

model = nn.Sequential(make_backbone(), nn.Linear(48, 4))
model[0].load_state_dict(pretrained[0].state_dict())
optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-2)
for epoch in range(10):
    model.train()
    model[0].eval()
    for rows in torch.randperm(1280).split(40):
        loss = functional.cross_entropy(model(points[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(points[1280:]).argmax(1) == labels[1280:]).float().mean()
    print(f"epoch {epoch} val_acc {accuracy:.3f}")
