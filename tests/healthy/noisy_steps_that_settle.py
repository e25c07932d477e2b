"""A rate that is far too high for batches of two, and falls to nothing: the noise averages out."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(23)
centres = torch.randn(6, 20)
kinds = torch.randint(6, (900,))
points = centres[kinds] + 1.3 * torch.randn(900, 20)
model = nn.Sequential(nn.Linear(20, 48), nn.Tanh(), nn.Linear(48, 6))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1000)
for epoch in range(5):
    for rows in torch.randperm(400).split(2):
        loss = functional.cross_entropy(model(points[rows]), kinds[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        accuracy = (model(points[400:]).argmax(1) == kinds[400:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.3f} val_acc {accuracy:.3f}")
