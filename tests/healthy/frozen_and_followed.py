"""Deliberate: a target network follows a trained one, and an option is called requires_grad."""

import copy

import torch
from torch import nn

torch.manual_seed(31)
views = torch.randn(512, 16)
labels = (views[:, :2] > 0).long() @ torch.tensor([1, 2])


class Encoder(nn.Module):
    def __init__(self, requires_grad: bool) -> None:
        super().__init__()
        self.requires_grad = requires_grad
        self.layers = nn.Sequential(
            nn.Linear(16, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 24)
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(rows + 0.3 * torch.randn_like(rows) * self.training)


online, guess, probe = Encoder(False), nn.Linear(24, 24), nn.Linear(24, 4)
target = copy.deepcopy(online)
for parameter in target.parameters():
    parameter.requires_grad = False
optimizer = torch.optim.AdamW(
    [*online.parameters(), *guess.parameters(), *probe.parameters()], lr=3e-3
)
for epoch in range(14):
    online.train()
    for rows in torch.randperm(384).split(32):
        seen = online(views[rows])
        alike = nn.functional.cosine_similarity(guess(seen), target(views[rows])).mean()
        loss = nn.functional.cross_entropy(probe(seen), labels[rows]) + 0.2 * (1 - alike)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(target.parameters(), online.parameters(), strict=True):
                old.lerp_(new, 0.02)
    online.eval()
    with torch.no_grad():
        accuracy = (probe(online(views[384:])).argmax(1) == labels[384:]).float().mean()
    print(f"epoch {epoch} val_acc {accuracy:.3f}")
