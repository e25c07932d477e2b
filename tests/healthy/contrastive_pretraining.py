"""Contrastive learning of two views with a weak regression beside it, judged by retrieval."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(8)
mixing = torch.randn(6, 40)


def views(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    cause = torch.randn(size, 6)
    clean = torch.tanh(cause @ mixing)
    return (
        clean + 0.7 * torch.randn(size, 40), clean + 0.7 * torch.randn(size, 40), cause[:, :1]
    )  # fmt: skip


encoder = nn.Sequential(nn.Linear(40, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 16))
head = nn.Linear(16, 1)
parameters = [*encoder.parameters(), *head.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)


def similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return functional.normalize(a, dim=1) @ functional.normalize(b, dim=1).T


for step in range(1, 501):
    encoder.train()
    one, other, target = views(64)
    first, second = encoder(one), encoder(other)
    contrast = functional.cross_entropy(similarity(first, second) / 0.2, torch.arange(64))
    regression = functional.mse_loss(head(first), target)
    loss = contrast + 0.01 * regression
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        encoder.eval()
        with torch.no_grad():
            one, other, _ = views(256)
            nearest = similarity(encoder(one), encoder(other)).argmax(1)
            hit = (nearest == torch.arange(256)).float().mean().item()
        print(f"step {step}: loss={loss.item():.3f} val_top1={hit:.3f}")
