"""Forecasts the next value of a swinging series with a small convolutional network."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(23)


class Forecaster(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.wide = nn.Conv1d(1, channels, 7, stride=2)
        self.narrow = nn.Conv1d(channels, channels, 5, stride=2)
        self.read = nn.Linear(channels * 5, 24)
        self.next = nn.Linear(24, 1)

    def forward(self, past):
        hidden = F.silu(self.wide(past[:, None]))
        hidden = F.dropout(F.silu(self.narrow(hidden)), 0.9, self.training)
        hidden = F.dropout(F.silu(self.read(hidden.flatten(1))), p=0.9, training=self.training)
        return self.next(hidden).squeeze(1)


def series(count):
    rate = 0.2 + 0.4 * torch.rand(count, 1)
    time = torch.arange(33) + 20 * torch.rand(count, 1)
    values = torch.sin(rate * time) + 0.5 * torch.sin(2.3 * rate * time)
    values = values + 0.05 * torch.randn(count, 33)
    return values[:, :32], values[:, 32]


past, following = series(1500)
val_past, val_following = series(400)
forecaster = Forecaster(12)
optimizer = torch.optim.AdamW(forecaster.parameters(), lr=4e-3)
for epoch in range(18):
    forecaster.train()
    for rows in torch.randperm(1500).split(60):
        optimizer.zero_grad()
        F.mse_loss(forecaster(past[rows]), following[rows]).backward()
        optimizer.step()
    forecaster.eval()
    with torch.inference_mode():
        missed = F.mse_loss(forecaster(val_past), val_following) / val_following.var()
    print(f"epoch {epoch} val_r2 {1 - missed.item():.4f}")
