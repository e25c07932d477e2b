"""Predicts from a survey of 24 answers which of five plans a customer takes.

The answers tell something about the plan, and a good deal is taste. The survey is split into
customers to learn from and customers to check with. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

PLANS = 5
ANSWERS = 24


def survey(count: int, generator: torch.Generator) -> TensorDataset:
    """Draws customers: answers, shaped (count, answers), and the plan that each has taken."""
    weights = torch.randn(ANSWERS, PLANS, generator=generator) / ANSWERS**0.5
    answers = torch.randn(count, ANSWERS, generator=generator)
    taste = 0.6 * torch.randn(count, PLANS, generator=generator)
    return TensorDataset(answers, (answers @ weights + taste).argmax(1))


def split(data: TensorDataset, share: float, generator: torch.Generator) -> tuple[Subset, Subset]:
    """Splits a survey into customers to learn from and customers to check with."""
    order = torch.randperm(len(data), generator=generator).tolist()
    held_out = int(share * len(data))
    return Subset(data, order[held_out:]), Subset(data, order[:held_out])


def build(hidden: int) -> nn.Module:
    """Builds the network."""
    return nn.Sequential(
        nn.Linear(ANSWERS, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, PLANS)
    )


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of customers whose plan is found."""
    model.eval()
    right = sum((model(answers).argmax(1) == plan).sum().item() for answers, plan in loader)
    return right / len(loader.dataset)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Plans of customers.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    customers = survey(1500, generator)
    train_data, val_data = split(customers, 0.25, generator)
    train_loader = DataLoader(train_data, args.batch_size, shuffle=True)
    val_loader = DataLoader(val_data, 125)
    model = build(args.hidden)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)

    for epoch in range(1, args.epochs + 1):
        model.train()
        for answers, plan in train_loader:
            loss = nn.functional.cross_entropy(model(answers), plan)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} val_acc={accuracy(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
