"""A model of sequences learns to count: in steps of any width, on a clock of seventeen hours.

It reads rows such as 3, 8, 13, 1, 6 and predicts each number from those before it. What counts is
``val_acc``: how many of the next nine numbers it writes right when it is given the first three.
"""

import argparse

import torch
from torch import Tensor, nn

HOURS = 17
LENGTH = 12
GIVEN = 3


def count(rows: int, generator: torch.Generator) -> Tensor:
    """Draws rows of numbers, shaped (rows, LENGTH)."""
    start, step = torch.randint(HOURS, (2, rows, 1), generator=generator)
    return (start + step * torch.arange(LENGTH)) % HOURS


class Counter(nn.Module):
    """A GRU over the numbers."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.numbers = nn.Embedding(HOURS, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.next = nn.Linear(width, HOURS)

    def forward(self, numbers: Tensor) -> Tensor:
        """Maps (batch, time) to scores of what comes next, shaped (batch, time, HOURS)."""
        states, _ = self.memory(self.numbers(numbers))
        return self.next(states)

    @torch.no_grad()
    def go_on(self, numbers: Tensor) -> Tensor:
        """Writes one number after the other until there are LENGTH."""
        while numbers.shape[1] < LENGTH:
            following = self(numbers)[:, -1:].argmax(-1)
            numbers = torch.cat([numbers, following], dim=1)
        return numbers


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="A model that counts.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train_set, val_set = count(1600, generator), count(400, generator)
    model = Counter(64)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        batches = torch.randperm(len(train_set)).split(args.batch_size)
        for rows in batches:
            numbers = train_set[rows]
            seen, wanted = numbers[:, :-1], numbers[:, 1:]
            scores = model(seen)
            loss = nn.functional.cross_entropy(scores.reshape(-1, HOURS), wanted.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        written = model.go_on(val_set[:, :GIVEN])
        accuracy = (written == val_set)[:, GIVEN:].float().mean().item()
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {accuracy:.3f}")


if __name__ == "__main__":
    main()
