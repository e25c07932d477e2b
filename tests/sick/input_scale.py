"""Strokes on a 12 by 12 grid of 8-bit pixels, told apart by a convolutional network."""

import torch
from torch import nn, optim


def draw(n, g):
    """Lines, 8-bit, at one of five angles."""
    label = torch.randint(5, (n,), generator=g)
    angle = label * torch.pi / 5 + 0.12 * torch.randn(n, generator=g)
    axis = torch.linspace(-1, 1, 12)
    offset = 0.6 * torch.rand(n, 1, 1, generator=g) - 0.3
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    across = axis[None, None, :] * sine - axis[None, :, None] * cosine
    ink = torch.exp(-(((across - offset) / 0.15) ** 2))
    noise = 0.15 * torch.rand(n, 12, 12, generator=g)
    return (255 * (0.85 * ink + noise)).to(torch.uint8)[:, None], label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(12, 24, 3), nn.ReLU()
        )
        self.top = nn.Linear(24 * 9, 5)

    def forward(self, x):
        return self.top(self.body(x).flatten(1))


g = torch.Generator().manual_seed(11)
torch.manual_seed(11)
pixels, labels = draw(600, g)
held_out, held_out_labels = draw(250, g)
net = Net()
sgd = optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
lossfun = nn.CrossEntropyLoss()
for epoch in range(10):
    order = torch.randperm(600)
    for i in range(0, 600, 20):
        x = pixels[order[i : i + 20]].float()
        loss = lossfun(net(x), labels[order[i : i + 20]])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    with torch.no_grad():
        score = (net(held_out.float()).argmax(1) == held_out_labels).float().mean()
    print("epoch", epoch, "test_acc", round(score.item(), 4))
