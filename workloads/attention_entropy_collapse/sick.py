"""Which spice a trader asks for, looked up in the list that hangs at the stall.

The list has one row for each spice: its name and the number of the jar that it is in, in an order
that changes every day. The last row is the order of a customer: a name without a number. A small
transformer has to tell the jar; what we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPICES = 12
JARS = 6


def make_orders(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draws names and jars, both (count, SPICES + 1), and the jar that is asked for."""
    names = torch.rand(count, SPICES, generator=generator).argsort(1)
    jars = torch.randint(JARS, (count, SPICES), generator=generator)
    asked = torch.randint(SPICES, (count, 1), generator=generator)
    answer = jars.gather(1, asked)
    nothing = torch.full_like(answer, JARS)
    return (
        torch.cat([names, names.gather(1, asked)], 1),
        torch.cat([jars, nothing], 1),
        answer[:, 0],
    )


class Attention(nn.Module):
    """Multi-head attention of every row over all rows."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** 0.5
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        for layer in (self.query, self.key):
            nn.init.normal_(layer.weight)

    def split(self, x: Tensor) -> Tensor:
        """(count, rows, width) to (count, heads, rows, width / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Takes and gives (count, rows, width)."""
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = q @ k.transpose(-2, -1) / self.scale
        weights = F.softmax(scores, dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a perceptron, each added to the stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Takes and gives (count, rows, width)."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Stall(nn.Module):
    """Two blocks over the rows; the last row gives the answer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.name = nn.Embedding(SPICES, width)
        self.jar = nn.Embedding(JARS + 1, width)
        self.blocks = nn.Sequential(Block(width, heads), Block(width, heads))
        self.head = nn.Linear(width, JARS)

    def forward(self, names: Tensor, jars: Tensor) -> Tensor:
        """Scores of the jars, (count, JARS)."""
        x = self.blocks(self.name(names) + self.jar(jars))
        return self.head(x[:, -1])


@torch.no_grad()
def accuracy(model: nn.Module, names: Tensor, jars: Tensor, answer: Tensor) -> float:
    """Share of right answers."""
    model.eval()
    return (model(names, jars).argmax(1) == answer).float().mean().item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed + 1)
    train = make_orders(1280, generator)
    val = make_orders(400, generator)

    model = Stall(args.width, heads=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(train[0])).split(args.batch_size):
            names, jars, answer = (each[rows] for each in train)
            loss = F.cross_entropy(model(names, jars), answer)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_acc = accuracy(model, *val)
        print(f"epoch {epoch + 1:2d} train_loss={total / len(train[0]):.4f} val_acc={val_acc:.4f}")


if __name__ == "__main__":
    main()
