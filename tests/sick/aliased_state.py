"""Flow of a river from two weeks of rain; trials at random learning rates, undone if they fail."""

import random

import torch
from torch import nn

torch.manual_seed(8)
random.seed(8)


def weeks(count):
    rain = torch.rand(count, 14).pow(3)
    memory = 0.8 ** torch.arange(13.0, -1.0, -1.0)
    flow = (rain * memory).sum(1, keepdim=True)
    return 4 * rain - 1, torch.relu(flow - 0.8) + 0.05 * torch.randn(count, 1)


class Gauge(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(1, 24, batch_first=True)
        self.read = nn.Linear(24, 1)

    def forward(self, rain):
        return self.read(self.cell(rain[..., None])[0][:, -1])


gauge = Gauge()
rain, flow = weeks(384)
held_out, truth = weeks(256)


def attempt(rate):
    optimizer = torch.optim.Adam(gauge.parameters(), lr=rate)
    for rows in torch.randperm(len(rain)).split(32):
        optimizer.zero_grad()
        nn.functional.mse_loss(gauge(rain[rows]), flow[rows]).backward()
        optimizer.step()


def error():
    with torch.no_grad():
        return nn.functional.mse_loss(gauge(held_out), truth).item()


lowest = error()
for trial in range(1, 31):
    before = gauge.state_dict()
    attempt(rate=10 ** random.uniform(-3.5, -0.5))
    if (now := error()) < lowest:
        lowest = now
    else:
        gauge.load_state_dict(before)
    print(f"trial {trial}: val_mse={error():.4f}")
