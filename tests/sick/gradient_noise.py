"""How loud a room is, from ten readings: online learning, one measurement at a time."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(1)
readings = torch.randn(700, 10)
loudness = torch.sin(2 * readings[:, :1]) + 1.5 * readings[:, 1:2] + readings[:, 2:3].square()
loudness = loudness + 0.5 * torch.randn(700, 1)


class Meter(nn.Module):
    def __init__(self):
        super().__init__()
        self.ears = nn.Linear(10, 48)
        self.brain = nn.Linear(48, 48)
        self.needle = nn.Linear(48, 1)

    def forward(self, heard):
        return self.needle(torch.tanh(self.brain(torch.tanh(self.ears(heard)))))


meter = Meter()
trainer = torch.optim.Adam(meter.parameters(), lr=0.03)
for hour in range(5):
    for n in torch.randperm(200).tolist():
        trainer.zero_grad()
        loss = functional.mse_loss(meter(readings[n : n + 1]), loudness[n : n + 1])
        loss.backward()
        trainer.step()
    with torch.no_grad():
        error = functional.mse_loss(meter(readings[400:]), loudness[400:])
    print(f"hour {hour} val_mse {error.item():.3f}")
