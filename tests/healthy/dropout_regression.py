"""Strong dropout: outputs rightly have another spread in training than in evaluation."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(5)
inputs = torch.randn(1500, 16)
targets = torch.sin(inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3]
model = nn.Sequential(
    nn.Dropout(0.2), nn.Linear(16, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 64),
    nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 1),
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(20):
    model.train()
    for rows in torch.randperm(1200).split(40):
        loss = functional.mse_loss(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        error = functional.mse_loss(model(inputs[1200:]), targets[1200:]).item()
    print(f"epoch {epoch:2d} | train mse {loss.item():.4f} | val mse {error:.4f}")
