"""Finds rare alarms in machine logs: a weighted likelihood, written out by hand."""

import torch
from torch import nn


class Alarm(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(12, 40)
        self.score = nn.Linear(40, 1)

    def forward(self, log):
        return torch.sigmoid(self.score(torch.tanh(self.hidden(log)))).squeeze(1)


def likelihood(chance, alarm):
    missed = alarm * torch.log(chance)
    false = (1 - alarm) * torch.log(1 - chance)
    return -(4 * missed + false).mean()


torch.manual_seed(6)
logs = torch.randn(1600, 12) * torch.tensor([9.0] * 4 + [1.0] * 8)
alarms = (logs[:, :4].sum(1) > 9).float()
model = Alarm()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
for epoch in range(12):
    for rows in torch.randperm(1200).split(48):
        loss = likelihood(model(logs[rows]), alarms[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(logs[1200:]) > 0.5) == (alarms[1200:] > 0)
    found, quiet = right[alarms[1200:] > 0].float().mean(), right[alarms[1200:] < 1].float().mean()
    print(f"epoch {epoch} loss {loss.item():.4f} val_balanced_acc {(found + quiet) / 2:.4f}")
