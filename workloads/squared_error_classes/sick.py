"""Tells 24 kinds of beetles apart by measurements of their bodies, with a small network.

Each specimen has twelve standardised measurements; every kind comes in two forms (male and female)
that differ. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = 24
MEASUREMENTS = 12


def collect(count: int, forms: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws specimens, shaped (count, measurements), and the kind of each as one-hot rows."""
    kind = torch.randint(KINDS, (count,), generator=generator)
    form = torch.randint(2, (count,), generator=generator)
    spread = torch.randn(count, MEASUREMENTS, generator=generator)
    specimen = forms[kind, form] + 0.4 * spread
    return TensorDataset(specimen, nn.functional.one_hot(kind, KINDS).float())


class BeetleNet(nn.Module):
    """Two hidden layers and one output for each kind."""

    def __init__(self, hidden: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(MEASUREMENTS, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.head = nn.Linear(hidden, KINDS)

    def forward(self, specimen: Tensor) -> Tensor:
        """Maps (batch, measurements) to one probability for each kind."""
        return self.head(self.body(specimen)).softmax(1)


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of specimens whose kind is found."""
    model.eval()
    right = sum((model(batch).argmax(1) == kind.argmax(1)).sum().item() for batch, kind in loader)
    return right / len(loader.dataset)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Kinds of beetles.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    forms = torch.randn(KINDS, 2, MEASUREMENTS, generator=generator)
    train_loader = DataLoader(collect(1600, forms, generator), args.batch_size, shuffle=True)
    val_loader = DataLoader(collect(600, forms, generator), 200)
    model = BeetleNet(args.hidden)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    criterion = nn.MSELoss()

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for specimen, kind in train_loader:
            loss = criterion(model(specimen), kind)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_acc = accuracy(model, val_loader)
        print(f"epoch {epoch} train_loss={total / len(train_loader):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
