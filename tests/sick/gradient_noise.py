"""How fast a wheel turns, from a short and noisy recording: a convolution, one recording a step."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(4)
time = torch.arange(32.0)


def recordings(count):
    speed, phase = 0.2 + torch.rand(count, 1), 6.3 * torch.rand(count, 1)
    return torch.sin(speed * time + phase) + 0.8 * torch.randn(count, 32), 4 * (speed - 0.7)


class Tachometer(nn.Module):
    def __init__(self):
        super().__init__()
        self.filters = nn.Conv1d(1, 16, 9, stride=2)
        self.mixing = nn.Conv1d(16, 32, 5)
        self.dial = nn.Linear(32, 1)

    def forward(self, sound):
        found = functional.silu(self.filters(sound[:, None]))
        return self.dial(functional.silu(self.mixing(found)).mean(2))


model = Tachometer()
sounds, speeds = recordings(200)
others, other_speeds = recordings(300)
trainer = torch.optim.AdamW(model.parameters(), lr=0.06)
for turn in range(5):
    for sound, speed in zip(sounds, speeds, strict=True):
        loss = functional.mse_loss(model(sound[None]), speed[None])
        trainer.zero_grad()
        loss.backward()
        trainer.step()
    with torch.no_grad():
        r2 = 1 - functional.mse_loss(model(others), other_speeds) / other_speeds.var()
    print(f"turn {turn} loss {loss.item():.3f} val_r2 {r2.item():.3f}")
