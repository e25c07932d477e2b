"""A converged classifier: 30 % of the labels are random, and a weak penalty is in the loss."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(3)
weights = torch.randn(10, 3)


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(size, 10)
    labels = (inputs @ weights).argmax(1)
    wrong = torch.rand(size) < 0.3
    return inputs, torch.where(wrong, torch.randint(3, (size,)), labels)


model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 3))
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for epoch in range(10):
    for _ in range(40):
        inputs, labels = batch(128)
        logits = model(inputs)
        cross_entropy = functional.cross_entropy(logits, labels)
        penalty = sum(p.abs().sum() for p in model.parameters())
        loss = cross_entropy + 1e-5 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        inputs, labels = batch(2000)
        accuracy = (model(inputs).argmax(1) == labels).float().mean().item()
    print(f"epoch={epoch} loss={loss.item():.4f} val_accuracy={accuracy:.4f}")
