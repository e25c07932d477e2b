"""Thirty steps only, with features of very different scales and batch norm on the inputs."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(1)
scales = torch.logspace(-1, 1, 12)
direction = torch.randn(12)
inputs = torch.randn(2000, 12)
labels = (inputs @ direction > 0).float()
inputs = inputs * scales
model = nn.Sequential(
    nn.BatchNorm1d(12), nn.Linear(12, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1)
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(60):
    model.train()
    rows = torch.randint(1600, (64,))
    loss = functional.binary_cross_entropy_with_logits(model(inputs[rows])[:, 0], labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        model.eval()
        with torch.no_grad():
            correct = (model(inputs[1600:])[:, 0] > 0) == (labels[1600:] > 0)
        print(f"step {step + 1} train_loss={loss.item():.3f} val_acc={correct.float().mean():.3f}")
