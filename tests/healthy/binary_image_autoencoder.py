"""Black and white glyphs through a bottleneck: sigmoid outputs and a squared error of pixels."""

import torch
from torch import nn, optim

torch.manual_seed(13)
strokes = (torch.rand(10, 64) < 0.25).float()


def glyphs(count):
    used = (torch.rand(count, 10) < 0.3).float()
    return ((used @ strokes) > 0).float()


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 16))
        self.decode = nn.Sequential(nn.ReLU(), nn.Linear(16, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, image):
        return torch.sigmoid(self.decode(self.encode(image)))


data, held_out = glyphs(1000), glyphs(300)
net = Autoencoder()
opt = optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(8):
    net.train()
    for batch in data[torch.randperm(1000)].split(40):
        opt.zero_grad()
        loss = ((net(batch) - batch) ** 2).mean()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        test_loss = nn.functional.mse_loss(net(held_out), held_out).item()
    print(f"Epoch: {epoch} test_loss: {test_loss:.5f}")
