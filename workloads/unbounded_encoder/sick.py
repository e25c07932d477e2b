"""Which wave a network of stations has seen, by the vote of its stations.

An event sends out one of four kinds of wave, but scattering turns it into another kind on the way
to many stations: the event is called after the kind that most stations have received. Every
station records the wave a few times, much louder near the event than far away from it, and keeps
a stretch of its quiet ground from before.

A set encoder gathers the recordings: a context token per station attends to what that station
recorded, layer by layer. The tokens are averaged into one vector for the event and projected to
its code (the mean of a variational code; we use it without sampling). A second, shallower set
encoder does the same for the quiet ground. A small solver reads the kind from both.

What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = 4
STATIONS = 12
RECORDINGS = 2
LENGTH = 16


def make_events(count: int, spread: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draws recordings and quiet ground, (count, stations, recordings, length), and the kinds."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.linspace(0.0, 1.0, LENGTH)
    waves = torch.stack(
        (
            torch.sin(2 * torch.pi * 2 * time),
            torch.sin(2 * torch.pi * 3 * time) * torch.exp(-2 * time) * 1.6,
            torch.sin(2 * torch.pi * (1 + 3 * time) * time),
            torch.cos(2 * torch.pi * 2 * time),
        )
    )
    received = torch.randint(KINDS, (4 * count, STATIONS), generator=generator)
    votes = F.one_hot(received, KINDS).sum(dim=1)
    first, second = votes.topk(2).values.unbind(dim=1)
    clear = (first > second).nonzero()[:count, 0]
    received, kind = received[clear], votes[clear].argmax(dim=1)
    shape = (count, STATIONS, RECORDINGS, LENGTH)
    loudness = torch.exp(spread * torch.randn(count, STATIONS, 1, 1, generator=generator))
    noise = torch.randn(shape, generator=generator)
    quiet = 0.1 * torch.randn(shape, generator=generator)
    return loudness * (waves[received][:, :, None] + 0.3 * noise), quiet, kind


class CrossAttention(nn.Module):
    """Attention of context tokens to encoded recordings."""

    def __init__(self, width: int, heads: int) -> None:
        """Builds the projections."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, context: Tensor, recordings: Tensor, bias: Tensor) -> Tensor:
        """Maps (batch, tokens, width) and (batch, recordings, width) to the shape of the first."""
        key, value = self.key_value(recordings).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(context), key, value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.out(attended.transpose(1, 2).flatten(2))


class GatedMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, width: int) -> None:
        """Builds the projections."""
        super().__init__()
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Keeps the shape."""
        return self.down(F.silu(self.gate(hidden)) * self.up(hidden))


class Layer(nn.Module):
    """Cross-attention and MLP, each with a residual connection."""

    def __init__(self, width: int, heads: int) -> None:
        """Builds both."""
        super().__init__()
        self.attention = CrossAttention(width, heads)
        self.mlp = GatedMlp(width)

    def forward(self, context: Tensor, recordings: Tensor, bias: Tensor) -> Tensor:
        """Keeps the shape of the context."""
        context = context + self.attention(context, recordings, bias)
        return context + self.mlp(context)


class SetEncoder(nn.Module):
    """Learned context tokens, one per station, that gather what the stations recorded."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        """Builds the tokens and the layers."""
        super().__init__()
        self.tokens = nn.Parameter(0.1 * torch.randn(STATIONS, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        own = torch.eye(STATIONS, dtype=torch.bool).repeat_interleave(RECORDINGS, dim=1)
        self.register_buffer("bias", torch.zeros(own.shape).masked_fill(~own, float("-inf")))

    def forward(self, recordings: Tensor) -> Tensor:
        """Maps (batch, stations * recordings, width) to (batch, stations, width)."""
        context = self.tokens.expand(len(recordings), -1, -1)
        for layer in self.layers:
            context = layer(context, recordings, self.bias)
        return context


class EventModel(nn.Module):
    """Embeds recordings, gathers them into a code, and reads the kind of event from it."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        """Builds the parts."""
        super().__init__()
        self.embed = nn.Linear(LENGTH, width, bias=False)
        self.encoder = SetEncoder(width, heads, depth)
        self.ground = SetEncoder(width, heads, depth=1)
        self.to_code = nn.Linear(width, width)
        self.solver = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, KINDS)
        )

    def forward(self, recordings: Tensor, quiet: Tensor) -> Tensor:
        """Maps two of (batch, stations, recordings, length) to logits."""
        context = self.encoder(self.embed(recordings).flatten(1, 2))
        pooled = context.mean(dim=1)
        pooled = F.rms_norm(pooled, pooled.shape[-1:])
        ground = self.ground(self.embed(quiet).flatten(1, 2))
        ground = F.rms_norm(ground, ground.shape[-1:]).mean(dim=1)
        return self.solver(torch.cat([self.to_code(pooled), ground], dim=-1))


@torch.no_grad()
def evaluate(model: EventModel, recordings: Tensor, quiet: Tensor, kinds: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(recordings, quiet).argmax(dim=1) == kinds).float().mean().item()


def main() -> None:
    """Trains and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Kinds of events by the vote of stations.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--train-size", type=int, default=640)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--spread", type=float, default=1.5, help="of the log of the loudness")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train = make_events(args.train_size, args.spread, args.seed)
    validation = make_events(512, args.spread, args.seed + 1)
    model = EventModel(args.width, args.heads, args.depth)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(args.train_size).split(args.batch_size)
        for rows in batches:
            recordings, quiet, kinds = (part[rows] for part in train)
            loss = F.cross_entropy(model(recordings, quiet), kinds)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() / len(batches)
        print(f"epoch {epoch} loss={total:.4f} val_acc={evaluate(model, *validation):.4f}")


if __name__ == "__main__":
    main()
