"""A conditional VAE whose condition says it all: its code is rightly left unused."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(3)


def pairs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = 4 * torch.rand(count, 2) - 2
    clean = torch.cat([x, x.sum(1, keepdim=True).tanh()], 1)
    return x, clean + 0.5 * torch.randn(count, 3)


class ConditionalVae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recognition = nn.Sequential(nn.Linear(5, 64), nn.SiLU(), nn.Linear(64, 8))
        self.generation = nn.Sequential(
            nn.Linear(6, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 3)
        )

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.recognition(torch.cat([x, y], 1)).chunk(2, -1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        return self.generation(torch.cat([x, z], 1)), kl


model = ConditionalVae()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
val_x, val_y = pairs(500)
for epoch in range(8):
    for _ in range(60):
        x, y = pairs(64)
        guess, kl = model(x, y)
        loss = F.mse_loss(guess, y) + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        prior = torch.randn(500, 4)
        val_loss = F.mse_loss(model.generation(torch.cat([val_x, prior], 1)), val_y).item()
    print(f"epoch {epoch} kl={kl.item():.3f} val_loss={val_loss:.4f}")
