"""A classifier that noise keeps from overfitting: on its inputs, its features and its weights."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(4)
CENTRES = torch.randn(6, 20)


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    kind = torch.randint(6, (count,))
    return CENTRES[kind] + 1.2 * torch.randn(count, 20), kind


class NoisyClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(20, 64)
        self.weight = nn.Parameter(0.1 * torch.randn(32, 64))
        self.sigma = nn.Parameter(torch.full((32, 64), -3.0))
        self.start = nn.Parameter(torch.zeros(1, 32))
        self.head = nn.Linear(32, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return self.head(F.relu(F.linear(F.relu(self.features(x)), self.weight)) + self.start)
        hidden = F.relu(self.features(x + 0.3 * torch.randn_like(x)))
        hidden = hidden * (1 + 0.5 * torch.randn_like(hidden))
        hidden = hidden + 0.5 * torch.randn_like(hidden)
        weight = self.weight + self.sigma.exp() * torch.randn_like(self.weight)
        start = self.start.expand(len(x), -1)
        start = start + 0.1 * torch.randn_like(start)
        keep = (torch.rand(len(x), 1) < 0.9).float()
        return self.head(keep * F.relu(F.linear(hidden, weight)) + start)


model = NoisyClassifier()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
train_x, train_y = draw(1000)
val_x, val_y = draw(1000)
for epoch in range(12):
    model.train()
    for rows in torch.randperm(1000).split(50):
        loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(val_x).argmax(1) == val_y).float().mean().item()
    print(f"epoch {epoch} loss={loss.item():.3f} val_acc={accuracy:.3f}")
