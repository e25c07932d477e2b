"""Deliberate: strong dropout, where words are many and a third of the labels are chance."""

import torch
from torch import nn

torch.manual_seed(41)
WORDS = 200
meaning = torch.randn(WORDS, 3)


def texts(count):
    counts = torch.poisson(torch.full((count, WORDS), 0.15))
    label = (counts @ meaning).argmax(1)
    chance = torch.rand(count) < 0.35
    return counts, torch.where(chance, torch.randint(3, (count,)), label)


counts, labels = texts(3000)
model = nn.Sequential(
    nn.Dropout(0.6), nn.Linear(WORDS, 96), nn.ReLU(), nn.Dropout(0.6), nn.Linear(96, 3)
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
for epoch in range(16):
    model.train()
    for rows in torch.randperm(2400).split(80):
        loss = nn.functional.cross_entropy(model(counts[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(counts[2400:]).argmax(1) == labels[2400:]).float().mean()
    print(f"epoch {epoch} val_acc {right:.3f}")
