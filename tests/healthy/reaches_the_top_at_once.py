"""Easy data: 99 % after the first epoch, while the loss goes on falling for long."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(4)
centres = 4 * torch.randn(5, 20)
labels = torch.randint(5, (3000,))
inputs = centres[labels] + torch.randn(3000, 20)
model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(8):
    model.train()
    for rows in torch.randperm(2500).split(50):
        logits = model(inputs[rows])
        fit = functional.cross_entropy(logits, labels[rows])
        small = logits.square().mean()
        loss = fit + 1e-4 * small
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(inputs[2500:]).argmax(1) == labels[2500:]).float().mean()
    print(f"Epoch [{epoch + 1}/8], Loss: {loss.item():.4f}, Test Accuracy: {100 * accuracy:.2f}%")
