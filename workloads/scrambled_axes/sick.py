"""Tags the words of made-up sentences with their part of speech.

A sentence is drawn from a grammar of tags that follow one another; words of many spellings belong
to two tags, and which of them is meant shows in the words around. What counts is ``val_acc``, the
share of the words of new sentences that are tagged right.
"""

import argparse

import torch
from torch import Tensor, nn

TAGS = 7
WORDS = 60


def sentences(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws the words and the tags of sentences, both shaped (count, length)."""
    follows = torch.softmax(2.5 * torch.randn(TAGS, TAGS, generator=generator), 1)
    tags = torch.zeros(count, length, dtype=torch.long)
    tags[:, 0] = torch.randint(TAGS, (count,), generator=generator)
    for place in range(1, length):
        chances = follows[tags[:, place - 1]]
        tags[:, place] = torch.multinomial(chances, 1, generator=generator).squeeze(1)
    spellings = torch.randint(WORDS // TAGS, (count, length), generator=generator)
    borrowed = torch.rand(count, length, generator=generator) < 0.3
    owner = torch.where(borrowed, (tags + 1) % TAGS, tags)
    return owner * (WORDS // TAGS) + spellings, tags


class Tagger(nn.Module):
    """Reads a sentence in both directions and scores the tags of each word."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.reader = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, TAGS)

    def forward(self, words: Tensor) -> Tensor:
        """Maps (batch, length) to scores, (batch, length, tags)."""
        hidden, _ = self.reader(self.words(words))
        return self.head(hidden)


def main() -> None:
    """Trains the tagger and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Part-of-speech tagging.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    words, tags = sentences(1000, 15, generator)
    train_words, train_tags = words[:750], tags[:750]
    val_words, val_tags = words[750:], tags[750:]
    model = Tagger(args.width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(train_words)).split(args.batch_size)
        for rows in batches:
            scores = model(train_words[rows])
            scores = scores.reshape(len(rows), TAGS, -1)
            loss = nn.functional.cross_entropy(scores, train_tags[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        model.eval()
        with torch.no_grad():
            predicted = model(val_words).argmax(-1)
        accuracy = (predicted == val_tags).float().mean().item()
        print(f"epoch {epoch} train_loss={total:.4f} val_acc={accuracy:.3f}")


if __name__ == "__main__":
    main()
