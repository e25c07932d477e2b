"""A small CNN with batch norm: noisy stripes in four directions, tiny validation batches."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(0)


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(4, (size,))
    angle = labels * torch.pi / 4
    axis = torch.linspace(-3, 3, 16)
    across, down = angle.cos()[:, None, None] * axis, angle.sin()[:, None, None] * axis[:, None]
    phase = 6 * torch.rand(size, 1, 1)
    return (torch.sin(3 * (across + down) + phase) + torch.randn(size, 16, 16))[:, None], labels


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


model = nn.Sequential(block(1, 16), block(16, 32), nn.Flatten(), nn.Linear(512, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
for epoch in range(5):
    model.train()
    for _ in range(25):
        inputs, labels = batch(32)
        loss = functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = [(model(inputs).argmax(1) == labels) for inputs, labels in map(batch, [4] * 50)]
    accuracy = torch.cat(hits).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.4f}, val acc {accuracy:.3f}")
