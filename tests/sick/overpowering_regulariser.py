"""Predicts the level of a tank with a recurrent network whose codes shall be sparse."""

import torch
from torch import nn

torch.manual_seed(4)


class Forecaster(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.cell = nn.GRU(3, width, batch_first=True)
        self.code = nn.Linear(width, 20)
        self.out = nn.Linear(20, 1)

    def forward(self, history):
        states, _ = self.cell(history)
        code = torch.tanh(self.code(states[:, -1]))
        return self.out(code).squeeze(-1), code


def levels(count):
    flows = torch.randn(count, 12, 3).cumsum(1) / 3
    level = flows[:, -1, 0] - 0.7 * flows[:, -3, 1] + torch.tanh(flows[:, -2, 2])
    return flows, (level - level.mean()) / level.std()


history, following = levels(1200)
val_history, val_following = levels(300)
net = Forecaster()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
sparsity = 3.0
for epoch in range(14):
    for chunk in torch.randperm(1200).split(50):
        predicted, code = net(history[chunk])
        fit = ((predicted - following[chunk]) ** 2).mean()
        density = code.abs().sum(1).mean()
        opt.zero_grad()
        (fit + sparsity * density).backward()
        opt.step()
    with torch.no_grad():
        val_mse = (net(val_history)[0] - val_following).square().mean().item()
    print(f"{epoch} val_mse {val_mse:.4f}")
