"""Learns to tell rare kinds of signals apart, on features learned from many unlabelled ones."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = 8
LENGTH = 48


def make_signals(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws noisy waves, shaped (count, LENGTH), and the kind of each: its frequency."""
    kind = torch.randint(KINDS, (count,), generator=generator)
    time = torch.linspace(0, 6.28, LENGTH)
    phase = 6.28 * torch.rand(count, 1, generator=generator)
    waves = torch.sin((kind[:, None] + 1.0) * time + phase)
    return waves + 0.6 * torch.randn(count, LENGTH, generator=generator), kind


class Model(nn.Module):
    """A backbone that describes a signal, and a head that names its kind."""

    def __init__(self, features: int) -> None:
        """Builds the parts."""
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(LENGTH, 128), nn.ReLU(), nn.Linear(128, features), nn.ReLU()
        )
        self.head = nn.Linear(features, KINDS)

    def forward(self, signals: Tensor) -> Tensor:
        """Maps (batch, LENGTH) to (batch, KINDS)."""
        return self.head(self.backbone(signals))


def pretrain(model: Model, steps: int, generator: torch.Generator) -> None:
    """Learns to tell the strength of each frequency, which needs no labels."""
    time = torch.linspace(0, 6.28, LENGTH)
    rates = torch.arange(1.0, KINDS + 1)[:, None] * time
    out = nn.Linear(model.head.in_features, KINDS)
    optimizer = torch.optim.Adam([*model.backbone.parameters(), *out.parameters()], lr=2e-3)
    for _ in range(steps):
        signals, _ = make_signals(128, generator)
        strength = (signals @ rates.sin().T) ** 2 + (signals @ rates.cos().T) ** 2
        loss = F.mse_loss(out(model.backbone(signals)), strength / 100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    """Trains the head and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    signals, kind = make_signals(64, generator)
    val_signals, val_kind = make_signals(512, generator)
    model = Model(64)
    pretrain(model, 300, generator)

    model.backbone.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(signals)).split(args.batch_size):
            loss = F.cross_entropy(model(signals[rows]), kind[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        with torch.no_grad():
            val_acc = (model(val_signals).argmax(1) == val_kind).float().mean().item()
        print(f"epoch {epoch} train_loss={total / len(signals):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
