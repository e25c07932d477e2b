"""Walking, sitting, running, climbing: told by a recurrent net from a wearable."""

import torch
from torch import nn

torch.manual_seed(23)
KINDS = 4
rhythm = torch.tensor([0.5, 0.05, 1.1, 0.3])
mixing = torch.randn(KINDS, 8)


def wear(n):
    kind = torch.randint(KINDS, (n,))
    time = torch.arange(20)
    swing = torch.sin(rhythm[kind][:, None] * time + 6.3 * torch.rand(n, 1))
    signal = swing[..., None] * mixing[kind][:, None] + 0.5 * torch.randn(n, 20, 8)
    heart = signal[..., 5]
    heart[torch.rand(n, 20) < 0.004] = float("nan")  # loose belt
    return signal, kind


class Activity(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 32, batch_first=True)
        self.kind = nn.Linear(32, KINDS)

    def forward(self, signal):
        _, (last, _) = self.lstm(signal)
        return self.kind(last[-1])


signal, kind = wear(700)
test_signal, test_kind = wear(250)
net = Activity()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(9):
    for rows in torch.randperm(700).split(35):
        loss = nn.functional.cross_entropy(net(signal[rows]), kind[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        right = net(test_signal).argmax(1) == test_kind
    print(f"epoch {epoch} test_acc {right.float().mean().item():.3f}")
