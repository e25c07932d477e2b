"""Trains a small convolutional network to tell gratings of eight orientations apart."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ORIENTATIONS = 8


def make_images(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws noisy gratings, shaped (count, 1, 12, 12), and their orientations."""
    label = torch.randint(ORIENTATIONS, (count,), generator=generator)
    angle = label * torch.pi / ORIENTATIONS
    phase = 6.28 * torch.rand(count, generator=generator)
    row, column = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    along = row * angle.cos()[:, None, None] + column * angle.sin()[:, None, None]
    image = torch.sin(1.3 * along + phase[:, None, None])
    image = image + 0.8 * torch.randn(count, 12, 12, generator=generator)
    return image[:, None], label


class Classifier(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self, channels: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.first = nn.Conv2d(1, channels, 5)
        self.second = nn.Conv2d(channels, channels, 3, stride=2)
        self.head = nn.Linear(channels, ORIENTATIONS)

    def forward(self, image: Tensor) -> Tensor:
        """Maps (batch, 1, 12, 12) to (batch, 8)."""
        hidden = F.relu(self.second(F.relu(self.first(image))))
        return self.head(hidden.amax(dim=(2, 3)))


@torch.no_grad()
def accuracy(model: nn.Module, image: Tensor, label: Tensor) -> float:
    """Returns the share of correct predictions."""
    model.eval()
    return (model(image).argmax(1) == label).float().mean().item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    image, label = make_images(1024, generator)
    val_image, val_label = make_images(512, generator)
    model = Classifier(16)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(image)).split(args.batch_size):
            loss = F.cross_entropy(model(image[rows]), label[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_acc = accuracy(model, val_image, val_label)
        print(f"epoch {epoch} train_loss={total / len(image):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
