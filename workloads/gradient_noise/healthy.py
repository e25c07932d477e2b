"""Which of eight gestures a wristband recorded, by a perceptron.

Each gesture is made in three ways, and recorded with much noise. What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

GESTURES = 8
CHANNELS = 24


def make_recordings(count: int, ways: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws recordings, shaped (count, CHANNELS), with their gestures."""
    gesture = torch.randint(GESTURES, (count,), generator=generator)
    way = torch.randint(ways.shape[1], (count,), generator=generator)
    noise = 0.8 * torch.randn(count, CHANNELS, generator=generator)
    return TensorDataset(ways[gesture, way] + noise, gesture)


def evaluate(model: nn.Module, loader: DataLoader) -> float:
    """Returns the accuracy."""
    model.eval()
    hits = 0
    with torch.no_grad():
        for recordings, gestures in loader:
            hits += (model(recordings).argmax(dim=1) == gestures).sum().item()
    return hits / len(loader.dataset)


def main() -> None:
    """Trains the perceptron and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Classifies the recordings of a wristband.")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.17)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    ways = torch.randn(GESTURES, 3, CHANNELS, generator=generator)
    train_set = make_recordings(300, ways, generator)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(make_recordings(600, ways, generator), batch_size=300)

    model = nn.Sequential(
        nn.Linear(CHANNELS, args.width),
        nn.Tanh(),
        nn.Linear(args.width, args.width),
        nn.Tanh(),
        nn.Linear(args.width, GESTURES),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for recordings, gestures in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(recordings), gestures)
            loss.backward()
            optimizer.step()
            total += loss.item()
        train_loss = total / len(train_loader)
        print(
            f"epoch {epoch} train_loss={train_loss:.4f} val_acc={evaluate(model, val_loader):.3f}"
        )


if __name__ == "__main__":
    main()
