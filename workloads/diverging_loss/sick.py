"""How many of two kinds of token a short sequence has, by a small transformer.

What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 12
LENGTH = 10
MOST = 4


def make_sequences(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws sequences, shaped (count, LENGTH), and how many tokens are a 3 or a 7."""
    tokens = torch.randint(VOCABULARY, (count, LENGTH), generator=generator)
    return tokens, ((tokens == 3) | (tokens == 7)).sum(dim=1).clamp(max=MOST)


class Counter(nn.Module):
    """Embeds tokens, lets them attend to each other and reads the count from their mean."""

    def __init__(self, width: int, depth: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.position = nn.Parameter(0.1 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, MOST + 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (batch, LENGTH) to (batch, MOST + 1)."""
        return self.head(self.encoder(self.embed(tokens) + self.position).mean(dim=1))


@torch.no_grad()
def evaluate(model: nn.Module, tokens: Tensor, counts: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(tokens).argmax(dim=1) == counts).float().mean().item()


def main() -> None:
    """Trains the counter and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Counts tokens.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    tokens, counts = make_sequences(800, generator)
    val_tokens, val_counts = make_sequences(500, generator)
    model = Counter(width=32, depth=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(tokens)).split(args.batch_size)
        for rows in batches:
            loss = F.cross_entropy(model(tokens[rows]), counts[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_acc = evaluate(model, val_tokens, val_counts)
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
