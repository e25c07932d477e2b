"""Whether a reaction succeeds with eight settings of the reactor, by a perceptron.

There are only few experiments, and they are noisy. What we care about is ``val_loss``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SETTINGS = 8


def run_experiments(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws settings, shaped (count, SETTINGS), and successes (0 or 1), shaped (count, 1)."""
    settings = torch.randn(count, SETTINGS, generator=generator)
    smooth = settings[:, :1] - 0.5 * settings[:, 1:2] + 0.3 * settings[:, 2:3] * settings[:, 3:4]
    measured = smooth + torch.randn(count, 1, generator=generator)
    return settings, (measured > 0).float()


class ReactionNet(nn.Module):
    """Two wide hidden layers."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.enter = nn.Linear(SETTINGS, width)
        self.hidden = nn.Linear(width, width)
        self.leave = nn.Linear(width, 1)

    def forward(self, settings: Tensor) -> Tensor:
        """Maps (batch, SETTINGS) to (batch, 1)."""
        return self.leave(F.relu(self.hidden(F.relu(self.enter(settings)))))


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Predicts the success of a reaction.")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    settings, successes = run_experiments(96, generator)
    val_settings, val_successes = run_experiments(400, generator)
    model = ReactionNet(args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    best, waited = float("inf"), 0
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(settings)).split(args.batch_size)
        for rows in batches:
            loss = F.binary_cross_entropy_with_logits(model(settings[rows]), successes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            val_loss = F.binary_cross_entropy_with_logits(model(val_settings), val_successes).item()
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_loss={val_loss:.4f}")
        best, waited = min(best, val_loss), 0 if val_loss < best else waited + 1
        if waited == 5:
            break


if __name__ == "__main__":
    main()
