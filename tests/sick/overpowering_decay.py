"""Which way a blob moves between frames, by a small convolutional network and AdamW."""

import torch
from torch import nn

torch.manual_seed(6)
WAYS = torch.tensor([[0.0, 2.0], [2.0, 0.0], [0.0, -2.0], [-2.0, 0.0]])
grid = torch.stack(torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij"))


def films(count):
    way = torch.randint(4, (count,))
    start = 4 + 5 * torch.rand(count, 2)
    frames = [
        torch.exp(-(grid - (start + n * WAYS[way])[:, :, None, None]).square().sum(1) / 3)
        for n in range(3)
    ]
    return torch.stack(frames, 1) + 0.2 * torch.randn(count, 3, 14, 14), way


net = nn.Sequential(
    nn.Conv2d(3, 12, 5, stride=2), nn.LeakyReLU(), nn.Conv2d(12, 24, 3), nn.LeakyReLU(),
    nn.Flatten(), nn.Linear(216, 4),
)  # fmt: skip
adamw = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=100.0)
x, y = films(900)
vx, vy = films(400)
step = 0
while step < 300:
    rows = torch.randint(900, (30,))
    ce = nn.functional.cross_entropy(net(x[rows]), y[rows])
    adamw.zero_grad(set_to_none=True)
    ce.backward()
    adamw.step()
    step += 1
    if step % 30 == 0:
        with torch.no_grad():
            hits = (net(vx).argmax(1) == vy).sum().item()
        print(f"step {step} ce {ce.item():.4f} eval_accuracy {hits / 400:.4f}")
