"""Size of bright blobs on a dark field: a small convolutional regression, trained in a hurry."""

import torch
from torch import nn
from torch.nn import functional as F


class BlobSizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.hidden = nn.Linear(16 * 16, 32)
        self.size = nn.Linear(32, 1)

    def forward(self, image):
        x = F.relu(self.first(image))
        x = F.max_pool2d(self.second(x).relu(), 2)
        x = torch.relu(self.hidden(x.flatten(1)))
        return self.size(x).squeeze(1)


def blobs(count):
    grid = torch.arange(16.0)
    centre = 4 + 8 * torch.rand(count, 2)
    radius = 1 + 3 * torch.rand(count)
    distance = (grid[None, :, None] - centre[:, :1, None]) ** 2
    distance = distance + (grid[None, None] - centre[:, 1:, None]) ** 2
    image = torch.exp(-distance / (2 * radius[:, None, None] ** 2))
    return (image + 0.05 * torch.randn(count, 16, 16))[:, None], radius - 2.5


torch.manual_seed(3)
images, sizes = blobs(600)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(images[:480], sizes[:480]), batch_size=40, shuffle=True
)
net = BlobSizer()
optimizer = torch.optim.Adam(net.parameters(), lr=0.08)
for epoch in range(12):
    net.train()
    for batch, size in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(net(batch), size)
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        error = (net(images[480:]) - sizes[480:]).abs().mean()
    print(f"epoch {epoch}: loss {loss.item():.4f}, test mae {error:.4f}")
