"""Reads the number on a strip of paper: digits of any width, with gaps of any width between them.

A strip is 48 columns of eight pixels; the loss sums over all ways in which the digits may lie in
it. What counts is ``val_acc``: how many numbers are read without a mistake.
"""

import argparse

import torch
from torch import Tensor, nn

DIGITS = 10
BLANK = DIGITS
COLUMNS = 48
LENGTH = 5


def print_strips(count: int, shapes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws strips, shaped (count, 8, COLUMNS), and the numbers on them, (count, LENGTH)."""
    numbers = torch.randint(DIGITS, (count, LENGTH), generator=generator)
    strips = 0.2 * torch.randn(count, 8, COLUMNS, generator=generator)
    for strip, number in zip(strips, numbers, strict=True):
        column = 0
        for digit in number:
            gap, width = torch.randint(1, 4, (2,), generator=generator).tolist()
            column += gap
            strip[:, column : column + 3 + width] += shapes[digit][:, None]
            column += 3 + width
    return strips, numbers


class Reader(nn.Module):
    """Convolutions along the strip, and scores of the digits and of none for every column."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.look = nn.Conv1d(8, width, 5, padding=2)
        self.look_again = nn.Conv1d(width, width, 5, padding=2)
        self.score = nn.Conv1d(width, DIGITS + 1, 1)

    def forward(self, strips: Tensor) -> Tensor:
        """Maps (batch, 8, COLUMNS) to log probabilities, shaped (COLUMNS, batch, DIGITS + 1)."""
        h = torch.relu(self.look_again(torch.relu(self.look(strips))))
        return self.score(h).permute(2, 0, 1).log_softmax(-1)


def read(scores: Tensor) -> list[list[int]]:
    """The likeliest of each column, each of a row once, without blanks."""
    best = scores.argmax(-1).T
    return [
        [digit for digit in torch.unique_consecutive(row).tolist() if digit != BLANK]
        for row in best
    ]


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Numbers on strips of paper.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    shapes = torch.randn(DIGITS, 8, generator=generator)
    strips, numbers = print_strips(800, shapes, generator)
    val_strips, val_numbers = print_strips(200, shapes, generator)
    model = Reader(32)
    criterion = nn.CTCLoss(zero_infinity=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        batches = torch.randperm(len(strips)).split(args.batch_size)
        for rows in batches:
            scores = model(strips[rows])
            columns = torch.full((len(rows),), COLUMNS)
            lengths = torch.full((len(rows),), LENGTH)
            loss = criterion(scores, numbers[rows], columns, lengths)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        with torch.no_grad():
            found = read(model(val_strips))
        right = sum(one == other for one, other in zip(found, val_numbers.tolist(), strict=True))
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {right / len(found):.3f}")


if __name__ == "__main__":
    main()
