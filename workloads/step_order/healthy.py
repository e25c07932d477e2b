"""Trains a small transformer to tell which of its first tokens a sequence repeats at its end."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SYMBOLS = 6


def make_sequences(count: int, length: int) -> tuple[Tensor, Tensor]:
    """Draws sequences, shaped (count, length), and the symbol that follows the cue in each.

    The last symbol is a cue: the answer is the symbol at the place that it names.
    """
    tokens = torch.randint(SYMBOLS, (count, length))
    return tokens, tokens.gather(1, tokens[:, -1:])[:, 0]


class Reader(nn.Module):
    """One transformer layer that is read at the last position."""

    def __init__(self, length: int, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.tokens = nn.Embedding(SYMBOLS, width)
        self.places = nn.Parameter(0.5 * torch.randn(length, width))
        self.layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (batch, length) to (batch, symbols)."""
        hidden = self.layer(self.tokens(tokens) + self.places)
        return self.head(hidden[:, -1])


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    tokens, answer = make_sequences(2048, 7)
    val_tokens, val_answer = make_sequences(512, 7)
    model = Reader(7, 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        for rows in torch.randperm(len(tokens)).split(args.batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(tokens[rows]), answer[rows])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            val_acc = (model(val_tokens).argmax(1) == val_answer).float().mean().item()
        print(f"epoch {epoch} loss={loss.item():.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
