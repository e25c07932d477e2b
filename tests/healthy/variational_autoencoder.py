"""A VAE on points near a curve: the reconstruction rightly outweighs the KL term."""

import torch
from torch import nn

torch.manual_seed(2)


def batch(size: int) -> torch.Tensor:
    t = 6.28 * torch.rand(size, 1)
    curve = torch.cat([torch.sin(k * t) for k in range(1, 5)] + [torch.cos(t)], 1)
    return curve.repeat(1, 6) + 0.05 * torch.randn(size, 30)


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(30, 64), nn.Tanh(), nn.Linear(64, 8))
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 30))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, -1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(code), mean, log_variance


vae = Vae()
optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)


def elbo(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    restored, mean, log_variance = vae(x)
    reconstruction = 50 * (restored - x).square().sum(1).mean()
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    return reconstruction, kl


for step in range(1, 401):
    reconstruction, kl = elbo(batch(64))
    loss = reconstruction + kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        with torch.no_grad():
            print(f"step {step} elbo={loss.item():.2f} val_loss={sum(elbo(batch(500))).item():.2f}")
