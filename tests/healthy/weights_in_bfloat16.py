"""Weights in bfloat16 under AdamW at a rate that moves them, warmed up and annealed to zero."""

import math

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(31)
signals = torch.randn(2400, 16)
kinds = (signals[:, :4].sum(1) > 0).long() + 2 * (signals[:, 4] * signals[:, 5] > 0).long()
signals = signals.bfloat16()
model = nn.Sequential(
    nn.Linear(16, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 4)
).bfloat16()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
steps = 12 * 25
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer,
    lambda step: min(step / 30, 0.5 + 0.5 * math.cos(math.pi * step / steps)),
)
for epoch in range(12):
    model.train()
    for rows in torch.randperm(2000).split(80):
        loss = functional.cross_entropy(model(signals[rows]).float(), kinds[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        hits = (model(signals[2000:]).argmax(1) == kinds[2000:]).float().mean().item()
    print(f"epoch={epoch} loss={loss.item():.4f} val_acc={hits:.4f}")
torch.save(model.state_dict(), "final.pt")
