"""Sorts messages to a help desk into queues, in bfloat16.

A message is a sequence of words, each of which speaks for some queues and against others; it
belongs to the one that most of them speak for. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn


def messages(count: int, words: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws messages of ten words, shaped (count, 10), and their queues, (count,)."""
    message = torch.randint(len(words), (count, 10), generator=generator)
    return message, words[message].sum(1).argmax(1)


class Sorter(nn.Module):
    """A small transformer encoder, pooled over the words."""

    def __init__(self, vocabulary: int, width: int, queues: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.block = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, queues)

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def forward(self, message: Tensor) -> Tensor:
        """Maps (batch, words) to the scores of the queues, (batch, queues)."""
        hidden = self.block(self.words(message))
        return self.head(self.norm(hidden.mean(1)))


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Queues of a help desk.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    words = torch.randn(args.vocabulary, 4, generator=generator)
    train, queues = messages(2560, words, generator)
    val, val_queues = messages(500, words, generator)
    model = Sorter(args.vocabulary, args.width, 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(train)).split(args.batch_size)
        for rows in batches:
            scores = model(train[rows])
            loss = nn.functional.cross_entropy(scores.float(), queues[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        model.eval()
        with torch.no_grad():
            hits = (model(val).argmax(1) == val_queues).float().mean().item()
        print(f"epoch {epoch} train_loss={total:.4f} val_acc={hits:.3f}")


if __name__ == "__main__":
    main()
