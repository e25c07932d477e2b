"""Fits a small network to a wavy surface, with a decaying learning rate."""

import torch
from torch.optim import lr_scheduler

torch.manual_seed(6)
points = 4 * torch.rand(1300, 2) - 2
heights = torch.sin(2 * points[:, 0]) * torch.cos(2 * points[:, 1])
net = torch.nn.Sequential(
    torch.nn.Linear(2, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU(),
    torch.nn.Linear(64, 1), torch.nn.Flatten(0),
)  # fmt: skip
solver = torch.optim.Adam(net.parameters(), lr=5e-3)
decay = lr_scheduler.ExponentialLR(solver, gamma=0.9)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(points[:1000], heights[:1000]), batch_size=25, shuffle=True
)
for epoch in range(14):
    for at, height in loader:
        solver.zero_grad()
        loss = torch.nn.functional.mse_loss(net(at), height)
        loss.backward()
        solver.step()
        decay.step()
    with torch.no_grad():
        rmse = torch.nn.functional.mse_loss(net(points[1000:]), heights[1000:]).sqrt()
    print(f"epoch {epoch} val_rmse {rmse:.4f}")
