"""Batches of one, at a rate that is made for them: every step is noise, the mean of them is not."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(21)
inputs = torch.randn(700, 6)
targets = inputs[:, :1] - inputs[:, 1:2].abs() + 1.2 * torch.randn(700, 1)
model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    for row in torch.randperm(200).tolist():
        loss = functional.mse_loss(model(inputs[row : row + 1]), targets[row : row + 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = functional.mse_loss(model(inputs[200:]), targets[200:]).item()
    print(f"epoch {epoch} val_mse {error:.4f}")
