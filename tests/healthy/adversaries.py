"""A GAN on a ring of points, judged by how far its samples lie from the ring."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(6)
generator = nn.Sequential(nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
first = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
second = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.999))


def ring(size: int) -> torch.Tensor:
    angle = 6.28 * torch.rand(size, 1)
    return torch.cat([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(size, 2)


for step in range(1, 601):
    fake = generator(torch.randn(64, 8))
    real_loss = functional.softplus(-critic(ring(64))).mean()
    fake_loss = functional.softplus(critic(fake.detach())).mean()
    second.zero_grad()
    (real_loss + fake_loss).backward()
    second.step()
    first.zero_grad()
    functional.softplus(-critic(fake)).mean().backward()
    first.step()
    if step % 60 == 0:
        generator.eval()
        with torch.no_grad():
            samples = generator(torch.randn(500, 8))
        generator.train()
        print(f"step {step}: distance={(samples.norm(dim=1) - 1).abs().mean().item():.4f}")
