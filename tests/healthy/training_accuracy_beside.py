"""Accuracy on training data and on validation data after every epoch, by the same function."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(31)
x = torch.randn(900, 16)
y = (x[:, :4].sum(1) * x[:, 4].sign() > 0).long()
parts = random_split(TensorDataset(x, y), [700, 200])
train_set, val_set = (DataLoader(part, 50, shuffle=True) for part in parts)
net = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)


@torch.inference_mode()
def score(loader):
    net.eval()
    hits = sum((net(a).argmax(1) == b).sum().item() for a, b in loader)
    net.train()
    return hits / len(loader.dataset)


for epoch in range(14):
    for a, b in train_set:
        opt.zero_grad()
        nn.functional.cross_entropy(net(a), b).backward()
        opt.step()
    print(f"{epoch:2d} train_acc {score(train_set):.3f} val_acc {score(val_set):.3f}")
