"""Which of two kinds of short curve it is, from very few examples, by a large LSTM."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(12)
ramp = torch.linspace(-1, 1, 8)


def curves(count):
    kind = torch.randint(2, (count,))
    bent = torch.where(kind == 1, 0.6, -0.6)[:, None] * ramp.square()
    return (bent + torch.randn(count, 1) * ramp + 0.7 * torch.randn(count, 8))[..., None], kind


class Reader(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.top = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2))

    def forward(self, curve):
        return self.top(self.lstm(curve)[0].mean(1))


reader = Reader()
adam = torch.optim.Adam(reader.parameters(), lr=5e-3)
few, labels = curves(80)
test, truth = curves(500)
for epoch in range(60):
    for rows in torch.randperm(80).split(20):
        nll = functional.cross_entropy(reader(few[rows]), labels[rows])
        adam.zero_grad()
        nll.backward()
        adam.step()
    if epoch % 3 == 2:
        with torch.no_grad():
            test_nll = functional.cross_entropy(reader(test), truth).item()
        print(f"epoch {epoch}: nll={nll.item():.4f} test_nll={test_nll:.4f}")
