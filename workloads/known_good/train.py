"""Which of eight kinds of particle left a track: a multilayer perceptron, trained with SGD.

A track is a vector of read-outs of a calorimeter; each kind of particle leaves its energy in a
few typical patterns. What we care about is ``val_acc``.

The run of last month, which everybody agrees was good::

    python train.py --lr 0.03 --momentum 0.9

and the one of today, which never got anywhere::

    python train.py --lr 0.15 --momentum 0.98 --batch-size 48 --width 80 --dropout 0.05 \
        --weight-decay 1e-4 --activation gelu --label-smoothing 0.05 --schedule cosine
"""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = 8
PATTERNS = 3


def make_tracks(
    count: int, patterns: Tensor, noise: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws tracks, shaped (count, cells), and the kind of particle behind each.

    Args:
        count: How many.
        patterns: Typical tracks, shaped (KINDS, PATTERNS, cells).
        noise: Standard deviation of the read-out noise.
        generator: Source of randomness.
    """
    kind = torch.randint(KINDS, (count,), generator=generator)
    pattern = torch.randint(PATTERNS, (count,), generator=generator)
    energy = 0.7 + 0.6 * torch.rand(count, 1, generator=generator)
    track = energy * patterns[kind, pattern]
    return track + noise * torch.randn(track.shape, generator=generator), kind


def make_model(cells: int, args: argparse.Namespace) -> nn.Module:
    """Builds the perceptron."""
    layers: list[nn.Module] = []
    width = cells
    for _ in range(args.depth):
        activation = nn.GELU() if args.activation == "gelu" else nn.ReLU()
        layers += [nn.Linear(width, args.width), activation, nn.Dropout(args.dropout)]
        width = args.width
    return nn.Sequential(*layers, nn.Linear(width, KINDS))


def decay(step: int, steps: int, schedule: str) -> float:
    """The factor on the learning rate at a step."""
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    return 1 - step / steps


@torch.no_grad()
def evaluate(model: nn.Module, tracks: Tensor, kinds: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(tracks).argmax(dim=1) == kinds).float().mean().item()


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Which kind of particle left a track.")
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--activation", choices=("relu", "gelu"), default="relu")
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--schedule", choices=("linear", "cosine"), default="linear")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-size", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    patterns = torch.randn(KINDS, PATTERNS, 32, generator=generator)
    tracks, kinds = make_tracks(args.train_size, patterns, 0.8, generator)
    val_tracks, val_kinds = make_tracks(1024, patterns, 0.8, generator)
    model = make_model(32, args)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=args.lr, momentum=args.momentum, weight_decay=args.weight_decay
    )
    steps = args.epochs * math.ceil(args.train_size / args.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: decay(step, steps, args.schedule)
    )

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(tracks)).split(args.batch_size)
        for rows in batches:
            logits = model(tracks[rows])
            loss = F.cross_entropy(logits, kinds[rows], label_smoothing=args.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        val_acc = evaluate(model, val_tracks, val_kinds)
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
