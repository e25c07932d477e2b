"""Segmentation of discs and stripes on a noisy ground, pixel by pixel; the scores are flattened."""

import torch
from torch import nn

torch.manual_seed(3)
KINDS, SIZE = 3, 16


def pictures(count):
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    centre = torch.randint(4, SIZE - 4, (count, 2, 1, 1))
    disc = (rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < 12
    stripe = (columns - torch.randint(SIZE, (count, 1, 1))).abs() < 2
    mask = torch.where(disc, 2, stripe.long())
    shade = torch.tensor([0.0, 1.0, -1.0])[mask]
    return (shade + 0.5 * torch.randn(count, SIZE, SIZE))[:, None], mask


class Segmenter(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, KINDS, 1),
        )


images, masks = pictures(320)
val_images, val_masks = pictures(100)
net = Segmenter()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)

for epoch in range(1, 9):
    net.train()
    for picked in torch.randperm(len(images)).split(16):
        optimizer.zero_grad()
        loss = criterion(net(images[picked]).view(-1, KINDS), masks[picked].view(-1))
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        val_scores = net(val_images)
        val_loss = criterion(val_scores.view(-1, KINDS), val_masks.view(-1)).item()
        hits = (val_scores.argmax(1) == val_masks).float().mean().item()
    print(f"{epoch}: val_loss {val_loss:.4f} val_pixel_acc {hits:.4f}")
