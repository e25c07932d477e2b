"""A decay so strong that the weights shrink a lot, for a task that needs few of them."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(18)
direction = torch.randn(40, 3)
model = nn.Sequential(nn.Linear(40, 96), nn.Tanh(), nn.Linear(96, 3))
decayed = [model[0].weight, model[2].weight]
plain = [model[0].bias, model[2].bias]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 1.0}, {"params": plain, "weight_decay": 0.0}], lr=4e-3
)
inputs = torch.randn(1600, 40)
labels = (inputs @ direction).argmax(1)
for epoch in range(1, 13):
    for rows in torch.randperm(1000).split(25):
        loss = functional.cross_entropy(model(inputs[rows]), labels[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        accuracy = (model(inputs[1000:]).argmax(1) == labels[1000:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} val_acc {accuracy:.4f}")
