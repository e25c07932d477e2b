"""Trains a small GPT to go on with tunes that climb around the circle of twelve notes."""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

NOTES = 12


def make_tunes(count: int, length: int) -> Tensor:
    """Draws tunes, shaped (count, length): each climbs by an interval of its own, and wraps."""
    first = torch.randint(NOTES, (count, 1))
    interval = torch.randint(1, NOTES, (count, 1))
    return (first + interval * torch.arange(length)) % NOTES


class Block(nn.Module):
    """Causal attention and a multi-layer perceptron, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mix = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Maps (batch, length, width) to the same shape."""
        normed = self.norms[0](hidden)
        hidden = hidden + self.attend(normed, normed, normed, attn_mask=mask, need_weights=False)[0]
        return hidden + self.mix(self.norms[1](hidden))


class GPT(nn.Module):
    """Embeddings of notes and places, blocks and a head."""

    def __init__(self, width: int, depth: int, length: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.notes = nn.Embedding(NOTES, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, heads=4) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, NOTES)

    def forward(self, tune: Tensor) -> Tensor:
        """Maps (batch, length) to (batch, length, NOTES)."""
        length = tune.shape[1]
        mask = torch.full((length, length), -torch.inf).triu(1)
        hidden = self.notes(tune) + self.places(torch.arange(length))
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.head(self.norm(hidden))


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--warm-up", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    tunes, val_tunes = make_tunes(1920, 7), make_tunes(512, 7)
    model = GPT(width=32, depth=2, length=6)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    steps = args.epochs * math.ceil(len(tunes) / args.batch_size)

    def rate(step: int) -> float:
        """Warms up in a straight line, then falls like a cosine."""
        if step < args.warm_up:
            return (step + 1) / args.warm_up
        done = (step - args.warm_up) / max(1, steps - args.warm_up)
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, done))

    scheduler = LambdaLR(optimizer, rate)

    for epoch in range(1, args.epochs + 1):
        for rows in torch.randperm(len(tunes)).split(args.batch_size):
            logits = model(tunes[rows, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), tunes[rows, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        scheduler.step()
        with torch.no_grad():
            guess = model(val_tunes[:, :-1])[:, -1].argmax(1)
            val_acc = (guess == val_tunes[:, -1]).float().mean().item()
        print(f"epoch {epoch} loss={loss.item():.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
