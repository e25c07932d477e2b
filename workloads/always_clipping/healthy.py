"""Which of four rhythms a noisy series has, by an LSTM.

What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RHYTHMS = torch.tensor([3.0, 5.0, 8.0, 12.0])
LENGTH = 16


def make_series(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws series, shaped (count, LENGTH, 2), and the rhythm of each."""
    kind = torch.randint(len(RHYTHMS), (count,), generator=generator)
    phase = 6.28 * torch.rand(count, 1, generator=generator)
    angle = RHYTHMS[kind][:, None] * torch.linspace(0, 2, LENGTH) + phase
    series = torch.stack((angle.sin(), angle.cos()), dim=-1)
    return series + 0.2 * torch.randn(series.shape, generator=generator), kind


class RhythmNet(nn.Module):
    """Reads the rhythm from the mean of what an LSTM makes of the series."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.lstm = nn.LSTM(2, width, batch_first=True)
        self.head = nn.Linear(width, len(RHYTHMS))

    def forward(self, series: Tensor) -> Tensor:
        """Maps (batch, LENGTH, 2) to (batch, rhythms)."""
        hidden, _ = self.lstm(series)
        return self.head(hidden.mean(dim=1))


@torch.no_grad()
def evaluate(model: nn.Module, series: Tensor, kinds: Tensor) -> float:
    """Returns the accuracy."""
    model.eval()
    return (model(series).argmax(dim=1) == kinds).float().mean().item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Classifies rhythms.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.3)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--max-norm", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    series, kinds = make_series(960, generator)
    val_series, val_kinds = make_series(400, generator)
    model = RhythmNet(width=24)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(series)).split(args.batch_size)
        for rows in batches:
            loss = F.cross_entropy(model(series[rows]), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.max_norm)
            optimizer.step()
            total += loss.item()
        val_acc = evaluate(model, val_series, val_kinds)
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
