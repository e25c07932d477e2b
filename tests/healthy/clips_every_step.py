"""Adam with gradients clipped to a thousandth at every step: it does not care how long they are."""

import torch
from torch import nn

torch.manual_seed(15)
times = torch.linspace(0, 3, 12)


def waves(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    rate = 1 + 2 * torch.rand(count, 1)
    wave = torch.sin(rate * times + 6.28 * torch.rand(count, 1))
    return (wave + 0.02 * torch.randn(count, 12))[..., None], rate - 2


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recur = nn.GRU(1, 24, batch_first=True)
        self.read = nn.Linear(24, 1)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return self.read(self.recur(wave)[0][:, -1])


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
inputs, targets = waves(800)
val_inputs, val_targets = waves(300)
for epoch in range(12):
    for rows in torch.randperm(800).split(40):
        loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1e-3)
        optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(val_inputs), val_targets).item()
    print(f"epoch {epoch} loss={loss.item():.4f} val_loss={error:.4f}")
