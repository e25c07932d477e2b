"""The rate jumps up again and again, and the loss with it; each time it ends lower."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(14)
centres = torch.randn(5, 2, 10)


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    kind = torch.randint(5, (count,))
    return centres[kind, torch.randint(2, (count,))] + 0.6 * torch.randn(count, 10), kind


inputs, labels = draw(960)
val_inputs, val_labels = draw(400)
model = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 5))
optimizer = torch.optim.SGD(model.parameters(), lr=0.8, momentum=0.5)
schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 60)
for epoch in range(12):
    for rows in torch.randperm(960).split(48):
        loss = functional.cross_entropy(model(inputs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        accuracy = (model(val_inputs).argmax(1) == val_labels).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} val_acc {accuracy:.4f}")
