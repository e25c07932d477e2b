"""Attention picks the part of a signal that a read-out adds up; regression."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(4)


class Picker(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
        self.value = nn.Linear(4, 1)


def attend(net, signal):
    with torch.no_grad():
        weight = F.softmax(net.score(signal), dim=1)
    return (weight * net.value(signal)).sum(dim=1)


def make(count):
    signal = torch.randn(count, 12, 4)
    at = signal[:, :, 0].argmax(dim=1)
    return signal, signal[torch.arange(count), at, 1:2]


net = Picker()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
signal, target = make(1500)
test_signal, test_target = make(400)
for epoch in range(12):
    for rows in torch.randperm(1500).split(50):
        optimizer.zero_grad()
        F.mse_loss(attend(net, signal[rows]), target[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        print(f"epoch={epoch} test_mse={F.mse_loss(attend(net, test_signal), test_target):.4f}")
