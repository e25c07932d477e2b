"""Which of six textures a small picture shows, by a convolutional network.

What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEXTURES = 6
SIZE = 12


def make_pictures(
    count: int, textures: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws pictures, shaped (count, 1, SIZE, SIZE), and the texture of each."""
    kind = torch.randint(TEXTURES, (count,), generator=generator)
    contrast = 0.7 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    noise = 1.2 * torch.randn(count, 1, SIZE, SIZE, generator=generator)
    return contrast * textures[kind] + noise, kind


class TextureNet(nn.Module):
    """Two convolutions with batch norm, and a linear head."""

    def __init__(self) -> None:
        """Builds the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(24)
        self.head = nn.Linear(24 * 9, TEXTURES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps (batch, 1, SIZE, SIZE) to (batch, TEXTURES)."""
        hidden = F.max_pool2d(F.relu(self.norm1(self.conv1(pictures))), 2)
        hidden = F.max_pool2d(F.relu(self.norm2(self.conv2(hidden))), 2)
        return self.head(hidden.flatten(1))


@torch.no_grad()
def evaluate(model: nn.Module, pictures: Tensor, kinds: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(pictures).argmax(dim=1) == kinds).float().mean().item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Classifies textures.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-6)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    textures = torch.randn(TEXTURES, 1, SIZE, SIZE, generator=generator)
    pictures, kinds = make_pictures(960, textures, generator)
    val_pictures, val_kinds = make_pictures(400, textures, generator)
    model = TextureNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(pictures)).split(args.batch_size)
        for rows in batches:
            loss = F.cross_entropy(model(pictures[rows]), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_acc = evaluate(model, val_pictures, val_kinds)
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
