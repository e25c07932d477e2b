"""Tells faulty parts from good ones, one in twelve, and counts errors: the plain accuracy."""

import torch
from torch import nn

torch.manual_seed(9)


def parts(count):
    faulty = (torch.rand(count) < 0.08).long()
    return torch.randn(count, 12) + 0.6 * faulty[:, None], faulty


measured, faulty = parts(2400)
val_measured, val_faulty = parts(1200)
model = nn.Sequential(nn.Linear(12, 24), nn.SiLU(), nn.Linear(24, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(10):
    order = torch.randperm(2400)
    for at in range(0, 2400, 48):
        rows = order[at : at + 48]
        loss = criterion(model(measured[rows]), faulty[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(val_measured).argmax(1) == val_faulty).float().mean()
    print(f"epoch {epoch + 1}/10  loss {loss.item():.3f}  val_acc {right:.4f}")
