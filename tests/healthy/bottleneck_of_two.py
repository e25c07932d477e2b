"""Classes on a ring, told apart through two numbers: rows of one class become the same."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(8)
CLASSES = 3
centres = 2.5 * torch.randn(CLASSES, 20)


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    label = torch.randint(CLASSES, (count,))
    return centres[label] + torch.randn(count, 20), label


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.narrow = nn.Linear(48, 2)
        self.again = nn.Linear(2, 24)
        self.out = nn.Linear(24, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.again(self.narrow(self.wide(x)))))


model = Narrow()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
x, y = draw(1024)
test_x, test_y = draw(400)
for epoch in range(10):
    model.train()
    for rows in torch.randperm(len(x)).split(64):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} test_acc {accuracy:.4f}")
