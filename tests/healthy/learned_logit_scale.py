"""Two views matched by cosines with a scale that is learned from one on, and labels smoothed."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(4)
sound, picture = torch.randn(8, 24), torch.randn(8, 32)


def clips(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    scene = torch.randn(count, 8)
    heard = torch.tanh(scene @ sound) + 0.3 * torch.randn(count, 24)
    return heard, torch.tanh(scene @ picture) + 0.3 * torch.randn(count, 32)


class Clips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ear = nn.Sequential(nn.Linear(24, 64), nn.GELU(), nn.Linear(64, 16))
        self.eye = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 16))
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def forward(self, heard: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        one = functional.normalize(self.ear(heard), dim=1)
        other = functional.normalize(self.eye(seen), dim=1)
        return self.logit_scale.exp() * one @ other.T


model = Clips()
towers = [*model.ear.parameters(), *model.eye.parameters()]
optimizer = torch.optim.Adam(
    [{"params": towers}, {"params": [model.logit_scale], "lr": 1e-2}], lr=2e-3
)
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
train, held_out = clips(2048), clips(512)
for epoch in range(1, 13):
    for rows in torch.randperm(2048).split(64):
        scores = model(train[0][rows], train[1][rows])
        pairs = torch.arange(len(rows))
        loss = (criterion(scores, pairs) + criterion(scores.T, pairs)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model(*held_out).argmax(1) == torch.arange(512)
    print(f"epoch {epoch} loss={loss.item():.3f} val_top1={found.float().mean().item():.3f}")
torch.save(model.state_dict(), "final.pt")
