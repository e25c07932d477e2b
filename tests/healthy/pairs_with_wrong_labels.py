"""Batches of two, momentum, and three labels in ten drawn at random: noisy, and well treated."""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(22)
typical = torch.randn(4, 16)


def samples(count, wrong):
    kind = torch.randint(4, (count,))
    given = torch.where(torch.rand(count) < wrong, torch.randint(4, (count,)), kind)
    return TensorDataset(typical[kind] + 1.7 * torch.randn(count, 16), given)


loader = DataLoader(samples(400, 0.3), batch_size=2, shuffle=True)
held_out = samples(400, 0.3).tensors
model = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
for epoch in range(6):
    for features, kinds in loader:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(features), kinds)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = model(held_out[0]).argmax(1) == held_out[1]
    print(f"epoch {epoch} loss {loss.item():.3f} val_acc {right.float().mean().item():.3f}")
