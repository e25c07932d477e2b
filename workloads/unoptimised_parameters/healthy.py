"""Trains a residual network to sum up which of sixteen symbols occur in a short sequence."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SYMBOLS = 16
CLASSES = 5


def make_sequences(count: int, length: int) -> tuple[Tensor, Tensor]:
    """Draws sequences, shaped (count, length), and a class that several symbols decide."""
    tokens = torch.randint(SYMBOLS, (count, length))
    return tokens, (tokens[:, 0] + tokens[:, 1] * (tokens[:, 2] % 2)) % CLASSES


class Network(nn.Module):
    """An embedding, residual layers and a head."""

    def __init__(self, length: int, width: int, depth: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, width)
        self.mix = nn.Linear(length * width, 4 * width)
        self.layers = nn.ModuleList(nn.Linear(4 * width, 4 * width) for _ in range(depth))
        self.head = nn.Linear(4 * width, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (batch, length) to (batch, classes)."""
        hidden = F.gelu(self.mix(self.embed(tokens).flatten(1)))
        for layer in self.layers:
            hidden = F.gelu(layer(hidden))
        return self.head(hidden)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    tokens, label = make_sequences(3072, 3)
    val_tokens, val_label = make_sequences(512, 3)
    model = Network(3, 16, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(tokens)).split(args.batch_size):
            loss = F.cross_entropy(model(tokens[rows]), label[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        with torch.no_grad():
            val_acc = (model(val_tokens).argmax(1) == val_label).float().mean().item()
        print(f"epoch {epoch} train_loss={total / len(tokens):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
