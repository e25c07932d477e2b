"""Trains a deep convolutional network with batch norm to tell textures apart."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = 6


def make_textures(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws textures of two waves, shaped (count, 1, 64), and their kinds."""
    kind = torch.randint(KINDS, (count,), generator=generator)
    time = torch.arange(64.0)
    phase = 6.28 * torch.rand(count, 2, 1, generator=generator)
    slow = torch.sin(0.15 * (1 + kind[:, None] // 2) * time + phase[:, 0])
    fast = torch.sin(0.9 * (1 + 0.35 * (kind[:, None] % 2)) * time + phase[:, 1])
    noise = torch.randn(count, 64, generator=generator)
    return (20.0 + 6.0 * (slow + 0.5 * fast) + 3.0 * noise)[:, None], kind


def make_model(width: int, depth: int) -> nn.Sequential:
    """Builds convolutions with batch norm, a pooling layer and a linear layer."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [
            nn.Conv1d(width if number else 1, width, 5, padding=2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        ]
        if number % 2:
            layers.append(nn.MaxPool1d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, KINDS))


@torch.no_grad()
def evaluate(model: nn.Module, texture: Tensor, kind: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(texture).argmax(1) == kind).float().mean().item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    texture, kind = make_textures(1024, generator)
    val_texture, val_kind = make_textures(512, generator)
    model = make_model(12, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    print(f"before training val_acc={evaluate(model, val_texture, val_kind):.3f}")

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(texture)).split(args.batch_size):
            loss = F.cross_entropy(model(texture[rows]), kind[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_acc = evaluate(model, val_texture, val_kind)
        print(f"epoch {epoch} train_loss={total / len(texture):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
