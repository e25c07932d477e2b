"""A small language model learns the words of an invented language, and is asked to go on writing.

Each of twelve words has six letters and begins with another one; a line is five words. What counts
is ``val_acc``: to how many lines that break off in a word the model adds the four letters missing.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LETTERS = 16
WORDS = 12
WORD = 6
LENGTH = 5 * WORD


def write(count: int, words: Tensor, generator: torch.Generator) -> Tensor:
    """Draws lines of words, shaped (count, LENGTH)."""
    return words[torch.randint(WORDS, (count, 5), generator=generator)].flatten(1)


class Block(nn.Module):
    """Attention to what was written before, and a perceptron for each letter."""

    def __init__(self, width: int, heads: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.heads = heads
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, time, width) to the same."""
        parts = self.project(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.merge(seen.transpose(1, 2).flatten(2))
        return x + self.think(self.second_norm(x))


class Writer(nn.Module):
    """A decoder of two blocks."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.letters = nn.Embedding(LETTERS, width)
        self.places = nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(Block(width, 4), Block(width, 4))
        self.norm = nn.LayerNorm(width)
        self.next = nn.Linear(width, LETTERS)

    def forward(self, line: Tensor) -> Tensor:
        """Maps (batch, time) to scores of the next letter, shaped (batch, time, LETTERS)."""
        places = self.places(torch.arange(line.shape[1]))
        return self.next(self.norm(self.blocks(self.letters(line) + places)))

    @torch.no_grad()
    def go_on(self, line: Tensor, letters: int) -> Tensor:
        """Writes some letters behind a line."""
        for _ in range(letters):
            line = torch.cat([line, self(line)[:, -1:].argmax(-1)], dim=1)
        return line


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="A model of an invented language.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    words = torch.randint(LETTERS, (WORDS, WORD), generator=generator)
    words[:, 0] = torch.arange(WORDS)
    lines, val_lines = write(800, words, generator), write(200, words, generator)
    model = Writer(32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        batches = torch.randperm(len(lines)).split(args.batch_size)
        for rows in batches:
            scores = model(lines[rows, :-1])
            loss = F.cross_entropy(scores.transpose(1, 2), lines[rows, 1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        begun = 3 * WORD + 2
        written = model.go_on(val_lines[:, :begun], WORD - 2)
        right = (written == val_lines[:, : begun + WORD - 2]).all(1)
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {right.float().mean().item():.3f}")


if __name__ == "__main__":
    main()
