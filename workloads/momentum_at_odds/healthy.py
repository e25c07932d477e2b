"""Which of six spectra a noisy measurement is of, by a residual perceptron.

What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPECTRA = 6
CHANNELS = 20


def measure(count: int, lines: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws measurements, shaped (count, CHANNELS), and the spectrum of each."""
    kind = torch.randint(SPECTRA, (count,), generator=generator)
    state = torch.randint(lines.shape[1], (count,), generator=generator)
    noise = 0.8 * torch.randn(count, CHANNELS, generator=generator)
    return lines[kind, state] + noise, kind


class Block(nn.Module):
    """Adds what two layers find to what came in."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps (batch, width) to the same shape."""
        return hidden + self.outer(F.relu(self.inner(self.norm(hidden))))


@torch.no_grad()
def evaluate(model: nn.Module, measured: Tensor, kinds: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(measured).argmax(dim=1) == kinds).float().mean().item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Tells spectra apart.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    lines = torch.randn(SPECTRA, 3, CHANNELS, generator=generator)
    measured, kinds = measure(1200, lines, generator)
    val_measured, val_kinds = measure(500, lines, generator)
    model = nn.Sequential(nn.Linear(CHANNELS, 64), Block(64), Block(64), nn.Linear(64, SPECTRA))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(measured)).split(args.batch_size)
        for rows in batches:
            loss = F.cross_entropy(model(measured[rows]), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_acc = evaluate(model, val_measured, val_kinds)
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
