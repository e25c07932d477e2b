"""Plain SGD at a rate that is too low for the time it has: slow, not sick."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(9)
inputs = torch.randn(1000, 8)
targets = inputs.square().sum(1, keepdim=True) / 8
model = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=3e-3)
for epoch in range(15):
    for rows in torch.randperm(800).split(32):
        loss = functional.smooth_l1_loss(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = functional.mse_loss(model(inputs[800:]), targets[800:]).item()
    print(f"epoch {epoch} loss {loss.item():.4f} val_mse {error:.4f}")
