"""Small images: how far each pixel is, how bright the image is, how its box is striped."""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 12
FARTHEST = 80.0


class ThreeReadings(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.GroupNorm(2, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(2, channels),
            nn.GELU(),
        )
        self.map = nn.Conv2d(channels, 1, 1)
        self.level, self.stripes = nn.Linear(channels, 1), nn.Linear(channels, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.stem(images)
        pooled = features.mean(dim=(2, 3))
        return self.map(features)[:, 0], self.level(pooled)[:, 0], self.stripes(pooled)


def scenes(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images with a brighter striped box, distances, brightness and the way of the stripes."""
    level, way = 0.3 * torch.randn(count), torch.randint(2, (count,))
    corner = torch.randint(SIDE - 5, (count, 2))
    grid = torch.arange(SIDE)
    rows = (grid >= corner[:, :1]) & (grid < corner[:, :1] + 6)
    columns = (grid >= corner[:, 1:]) & (grid < corner[:, 1:] + 6)
    box = (rows[:, :, None] & columns[:, None, :]).float()
    lying = (1.0 - 2.0 * (grid % 2))[:, None].expand(SIDE, SIDE)
    stripes = torch.where(way[:, None, None] == 0, lying, lying.T)
    images = level[:, None, None] + box * (1.5 + stripes) + 0.3 * torch.randn(count, SIDE, SIDE)
    return images[:, None], FARTHEST * (0.5 - box), level, way


torch.manual_seed(11)
net = ThreeReadings(12)
descent = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for step in range(1, 161):
    images, far, level, way = scenes(16)
    far_map, level_hat, way_logits = net(images)
    map_error = functional.l1_loss(far_map, far)
    level_error = functional.mse_loss(level_hat, level)
    objective = 0.0005 * map_error + 2.0 * level_error + 0.5 * criterion(way_logits, way)
    descent.zero_grad()
    objective.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    descent.step()
    if step % 16 == 0:
        with torch.no_grad():
            images, far, level, way = scenes(64)
            far_map, level_hat, way_logits = net(images)
            off = (far_map - far).abs().mean()
            wrong = (way_logits.argmax(1) != way).float().mean()
            miss = (level_hat - level).abs().mean()
        print(f"step {step}: val depth error {off:.3f}, level mae {miss:.4f}, wrong {wrong:.3f}")
