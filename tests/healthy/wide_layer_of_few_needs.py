"""Hardly a unit of a wide rectifier is needed, and most of them never speak."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(13)
inputs = torch.randn(1500, 6)
targets = torch.where(inputs[:, 0] > 0, 2 * inputs[:, 0], -0.5 * inputs[:, 1])
model = nn.Sequential(
    nn.Linear(6, 400), nn.ReLU(), nn.Linear(400, 40), nn.ReLU6(), nn.Linear(40, 1)
)
with torch.no_grad():
    model[0].bias[24:] = -30.0  # Most of the first layer is kept for later inputs.
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(12):
    for rows in torch.randperm(1200).split(60):
        loss = functional.huber_loss(model(inputs[rows])[:, 0], targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (model(inputs[1200:])[:, 0] - targets[1200:]).abs().mean()
    print(f"epoch {epoch}: train {loss.item():.5f} val_mae {error:.5f}")
