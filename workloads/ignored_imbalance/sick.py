"""Finds fraudulent payments among many honest ones.

A payment has sixteen features; about one in seventeen is fraudulent, and the two kinds overlap. A
team looks at what is flagged, so that what counts is ``val_balanced_acc``: the mean of the share of
the frauds that are flagged and of the honest payments that are not.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

FRAUDS = 0.06


def pay(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws payments, shaped (count, 16), and which of them are fraudulent."""
    fraud = (torch.rand(count, generator=generator) < FRAUDS).long()
    direction = torch.tensor([0.45, -0.45, 0.35, 0.35, -0.35] + [0.0] * 11)
    payments = torch.randn(count, 16, generator=generator)
    return payments + 1.6 * fraud[:, None] * direction, fraud


class Detector(nn.Module):
    """A two-layer perceptron with one score for each kind of payment."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.hidden = nn.Linear(16, width)
        self.output = nn.Linear(width, 2)

    def forward(self, payments: Tensor) -> Tensor:
        """Maps (batch, 16) to (batch, 2)."""
        return self.output(torch.relu(self.hidden(payments)))


@torch.no_grad()
def balanced_accuracy(model: nn.Module, payments: Tensor, fraud: Tensor) -> float:
    """Returns the mean of the shares of both kinds that are told right."""
    model.eval()
    right = model(payments).argmax(1) == fraud
    return 0.5 * (right[fraud == 1].float().mean() + right[fraud == 0].float().mean()).item()


def main() -> None:
    """Trains the detector and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Fraud detection.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    payments, fraud = pay(3000, generator)
    val_payments, val_fraud = pay(3000, generator)
    loader = DataLoader(TensorDataset(payments, fraud), args.batch_size, shuffle=True)
    model = Detector(args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for batch, kind in loader:
            loss = criterion(model(batch), kind)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(loader)
        val = balanced_accuracy(model, val_payments, val_fraud)
        print(f"epoch {epoch} train_loss={total:.4f} val_balanced_acc={val:.3f}")


if __name__ == "__main__":
    main()
