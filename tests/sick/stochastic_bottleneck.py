"""A forecast of damped oscillations by a code that is drowned in its own noise, always."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=10)
parser.add_argument("--beta", type=float, default=0.1)
arguments = parser.parse_args()
torch.manual_seed(1)


def oscillations(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What is seen, (count, 24, 1), and what follows, (count, 16)."""
    time = torch.linspace(0.0, 1.0, 40)
    pitch, phase = 8 + 8 * torch.rand(count, 1), 6.28 * torch.rand(count, 1)
    decay = 0.5 + torch.rand(count, 1)
    curve = 1.5 * torch.exp(-decay * time) * torch.sin(pitch * time + phase)
    return curve[:, :24, None], curve[:, 24:]


class Forecaster(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.reader = nn.GRU(1, 48, batch_first=True)
        self.centre, self.spread = nn.Linear(48, size), nn.Linear(48, size)
        self.writer = nn.Sequential(nn.Linear(size, 96), nn.SiLU(), nn.Linear(96, 16))

    def draw(self, centre: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
        return torch.randn_like(centre).mul(deviation).add_(centre)

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        summary = self.reader(seen)[1][0]
        centre, deviation = self.centre(summary), F.softplus(self.spread(summary) + 0.5)
        posterior = torch.distributions.Normal(centre, deviation)
        prior = torch.distributions.Normal(0.0, 1.0)
        divergence = torch.distributions.kl_divergence(posterior, prior).sum(-1).mean()
        return self.writer(self.draw(centre, deviation)), divergence


net = Forecaster(12)
optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
held_out, truth = oscillations(400)
for number in range(1, arguments.rounds + 1):
    net.train()
    for _ in range(25):
        seen, following = oscillations(48)
        forecast, divergence = net(seen)
        miss = F.smooth_l1_loss(forecast, following)
        total = miss + arguments.beta * divergence
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        error = F.mse_loss(net(held_out)[0], truth) / truth.var()
    print(f"round {number} total {total.item():.4f} val_error {error.item():.4f}")
