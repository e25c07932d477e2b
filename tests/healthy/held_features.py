"""Random Fourier features, held on purpose by a rate of zero, below a layer that learns."""

import torch
from torch import nn

torch.manual_seed(8)


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.waves = nn.Linear(3, 128)
        nn.init.normal_(self.waves.weight)
        self.readout = nn.Linear(256, 4)

    def forward(self, points):
        angles = self.waves(points)
        return self.readout(torch.cat([angles.sin(), angles.cos()], 1))


def points(count):
    where = 2 * torch.rand(count, 3) - 1
    return where, (where[:, 0] > 0).long() + 2 * (where[:, 1] + where[:, 2] > 0).long()


model = Features()
optimizer = torch.optim.Adam(
    [
        {"params": model.waves.parameters(), "lr": 0.0},
        {"params": model.readout.parameters(), "lr": 5e-3},
    ]
)
inputs, octants = points(1500)
val_inputs, val_octants = points(500)
for epoch in range(10):
    for rows in torch.randperm(1500).split(50):
        loss = nn.functional.cross_entropy(model(inputs[rows]), octants[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(val_inputs).argmax(1) == val_octants).float().mean()
    print(f"epoch {epoch} loss {loss.item():.4f} val_acc {accuracy:.4f}")
