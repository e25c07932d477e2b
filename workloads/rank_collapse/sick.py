"""How a bird's next note departs from the key of its song.

A song is a row of notes. It begins with the note that sets its key; every note has to be named by
its distance from that key, around the octave. A small transformer reads the whole song and names
every note at once; what we care about is ``val_acc``, the share of notes that are named right.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOTES = 8
LENGTH = 8


def make_songs(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws songs and the distance of every note from the key, both (count, LENGTH)."""
    songs = torch.randint(NOTES, (count, LENGTH), generator=generator)
    return songs, (songs - songs[:, :1]) % NOTES


class SelfAttention(nn.Module):
    """Attention of every note over all notes."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Takes and gives (count, LENGTH, width)."""
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(count, length, width))


class Block(nn.Module):
    """Attention and a perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Takes and gives (count, LENGTH, width)."""
        x = self.attention(self.norm1(x))
        return self.mlp(self.norm2(x))


class SongReader(nn.Module):
    """Embedding, blocks and a head for every note."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.notes = nn.Embedding(NOTES, width)
        self.places = nn.Embedding(LENGTH, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, NOTES)

    def forward(self, songs: Tensor) -> Tensor:
        """Scores of the distances, (count, LENGTH, NOTES)."""
        x = self.notes(songs) + self.places(torch.arange(LENGTH))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@torch.no_grad()
def accuracy(model: nn.Module, songs: Tensor, distance: Tensor) -> float:
    """Share of notes that are named right."""
    model.eval()
    return (model(songs).argmax(-1) == distance).float().mean().item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed + 1)
    train_x, train_y = make_songs(1024, generator)
    val_x, val_y = make_songs(300, generator)

    model = SongReader(args.width, args.depth, heads=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(train_x)).split(args.batch_size):
            logits = model(train_x[rows])
            loss = F.cross_entropy(logits.flatten(0, 1), train_y[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_acc = accuracy(model, val_x, val_y)
        print(f"epoch {epoch + 1:2d} train_loss={total / len(train_x):.4f} val_acc={val_acc:.4f}")


if __name__ == "__main__":
    main()
