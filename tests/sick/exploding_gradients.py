"""Adds up the marked numbers of a sequence with a plain recurrent network, written out by hand."""

import torch
from torch import nn

LENGTH, STATE = 16, 48


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.Linear(2, STATE)
        self.recur = nn.Linear(STATE, STATE, bias=False)
        self.total = nn.Linear(STATE, 1)
        nn.init.normal_(self.recur.weight, std=0.6)

    def forward(self, sequence):
        state = sequence.new_zeros(len(sequence), STATE)
        for moment in sequence.unbind(1):
            state = torch.relu(self.read(moment) + self.recur(state))
        return self.total(state)[:, 0]


def sequences(count):
    numbers = 2 * torch.rand(count, LENGTH) - 1
    marks = (torch.rand(count, LENGTH) < 0.3).float()
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(1)


torch.manual_seed(8)
inputs, sums = sequences(1200)
adder = Adder()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(adder.parameters(), lr=3e-3)
for epoch in range(10):
    for rows in torch.randperm(1000).split(40):
        loss = criterion(adder(inputs[rows]), sums[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        left = criterion(adder(inputs[1000:]), sums[1000:])
    print(f"epoch {epoch:2d}  train {loss.item():.4g}  test mse {left.item():.4g}")
