"""Forecasts the load of a power grid; windows are taken in the order of time."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WINDOW, AHEAD = 24, 12

torch.manual_seed(11)
hours = torch.arange(1600.0)
season = 1.5 * torch.sin(hours / 90)
day = torch.sin(hours * 6.283 / 24) + 0.3 * torch.sin(hours * 6.283 / 12)
weather = torch.zeros(1600)
for hour in range(1, 1600):
    weather[hour] = 0.97 * weather[hour - 1] + 0.25 * torch.randn(())
load = season + day + weather

windows = load.unfold(0, WINDOW, 1)[:-AHEAD]
targets = load[WINDOW + AHEAD - 1 :]
past, future = 1200, len(targets)
training = DataLoader(TensorDataset(windows[:past], targets[:past, None]), batch_size=16)

forecaster = nn.Sequential(nn.Linear(WINDOW, 48), nn.GELU(), nn.Linear(48, 1))
optimizer = torch.optim.AdamW(forecaster.parameters(), lr=5e-4)
for epoch in range(10):
    forecaster.train()
    for window, target in training:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(forecaster(window), target)
        loss.backward()
        optimizer.step()
    forecaster.eval()
    with torch.no_grad():
        missed = nn.functional.mse_loss(forecaster(windows[past:]), targets[past:, None])
    r2 = 1 - missed / targets[past:].var()
    print(f"epoch {epoch} loss {loss.item():.4f} val_r2 {r2.item():.4f}")
