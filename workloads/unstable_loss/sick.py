"""Which of eight kinds of signal a sensor array saw, by a perceptron.

Each kind has three typical patterns. What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = 8
SENSORS = 24


def make_signals(count: int, patterns: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws signals, shaped (count, SENSORS), with their kinds."""
    kind = torch.randint(KINDS, (count,), generator=generator)
    pattern = torch.randint(patterns.shape[1], (count,), generator=generator)
    noise = 0.7 * torch.randn(count, SENSORS, generator=generator)
    return TensorDataset(patterns[kind, pattern] + noise, kind)


def evaluate(model: nn.Module, loader: DataLoader) -> float:
    """Returns the accuracy."""
    model.eval()
    hits = 0
    with torch.no_grad():
        for signals, kinds in loader:
            hits += (model(signals).argmax(dim=1) == kinds).sum().item()
    return hits / len(loader.dataset)


def main() -> None:
    """Trains the perceptron and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Classifies signals of a sensor array.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    patterns = torch.randn(KINDS, 3, SENSORS, generator=generator)
    train_set = make_signals(1280, patterns, generator)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(make_signals(640, patterns, generator), batch_size=320)

    model = nn.Sequential(
        nn.Linear(SENSORS, args.width),
        nn.ReLU(),
        nn.Linear(args.width, args.width),
        nn.ReLU(),
        nn.Linear(args.width, KINDS),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for signals, kinds in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(signals), kinds)
            loss.backward()
            optimizer.step()
            total += loss.item()
        train_loss = total / len(train_loader)
        print(
            f"epoch {epoch} train_loss={train_loss:.4f} val_acc={evaluate(model, val_loader):.3f}"
        )


if __name__ == "__main__":
    main()
