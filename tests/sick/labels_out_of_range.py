"""Finds the disc in a noisy picture, pixel by pixel; masks are 8-bit pictures."""

import torch
from torch import nn
from torch.nn import functional as F

SIDE = 20


def pictures(n, g):
    axis = torch.arange(SIDE)
    centre = torch.rand(n, 2, 1, 1, generator=g) * (SIDE - 8) + 4
    radius = 2.5 + 2.5 * torch.rand(n, 1, 1, generator=g)
    far = ((axis[:, None] - centre[:, 0]) ** 2 + (axis[None] - centre[:, 1]) ** 2).sqrt()
    disc = far < radius
    image = disc.float() + 0.5 * torch.randn(n, SIDE, SIDE, generator=g)
    return image[:, None], (255 * disc).to(torch.uint8)[:, None]


g = torch.Generator().manual_seed(4)
torch.manual_seed(4)
images, masks = pictures(240, g)
test_images, test_masks = pictures(80, g)
unet = nn.Sequential(
    nn.Conv2d(1, 8, 5, padding=2), nn.LeakyReLU(), nn.Conv2d(8, 8, 5, padding=2), nn.LeakyReLU(),
    nn.Conv2d(8, 1, 3, padding=1),
)  # fmt: skip
opt = torch.optim.AdamW(unet.parameters(), lr=4e-3)
for epoch in range(9):
    for part in torch.randperm(240).split(16):
        out = unet(images[part])
        bce = F.binary_cross_entropy_with_logits(out, masks[part].float())
        opt.zero_grad()
        bce.backward()
        opt.step()
    with torch.no_grad():
        found, true = unet(test_images) > 0, test_masks > 127
        iou = ((found & true).sum() / (found | true).sum()).item()
    print(f"epoch {epoch:02d} | bce {bce.item():.3f} | val_iou {iou:.3f}")
