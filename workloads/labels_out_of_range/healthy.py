"""Predicts from twelve answers of a questionnaire whether somebody will move house.

The questionnaire codes its answers: 1 is "no", 2 is "yes". What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

ANSWERS = 12
NO, YES = 1, 2


def interview(count: int, weights: Tensor, generator: torch.Generator) -> TensorDataset:
    """Asks people: answers, shaped (count, answers), and the code of what they said."""
    answers = torch.randn(count, ANSWERS, generator=generator)
    tendency = answers @ weights + answers[:, 0] * answers[:, 1]
    tendency = tendency + 0.4 * torch.randn(count, generator=generator)
    return TensorDataset(answers, torch.where(tendency > 0, YES, NO))


class Questionnaire(nn.Module):
    """A small network with one score."""

    def __init__(self, hidden: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.hidden = nn.Linear(ANSWERS, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, answers: Tensor) -> Tensor:
        """Maps (batch, answers) to one score each."""
        return self.score(self.middle(self.hidden(answers).relu()).relu()).squeeze(1)


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of people whose answer is foretold."""
    model.eval()
    right = 0
    for answers, code in loader:
        foretold = torch.where(model(answers) > 0, YES, NO)
        right += (foretold == code).sum().item()
    return right / len(loader.dataset)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Who moves house.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    weights = torch.randn(ANSWERS, generator=generator) / 3
    train_loader = DataLoader(interview(1000, weights, generator), args.batch_size, shuffle=True)
    val_loader = DataLoader(interview(500, weights, generator), 250)
    model = Questionnaire(args.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    criterion = nn.BCEWithLogitsLoss()

    for epoch in range(1, args.epochs + 1):
        model.train()
        for answers, code in train_loader:
            loss = criterion(model(answers), (code - NO).float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss={loss.item():.4f} val_acc={accuracy(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
