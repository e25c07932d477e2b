"""Hears a rare bird call in field recordings: one in twenty-five has it.

A recording is a sequence of spectra; a call is a short rising tone somewhere in it. Nobody listens
to all of them, so that what we look at is ``val_balanced_acc``: the mean of the shares of the
recordings with and without a call that are told right.
"""

import argparse

import torch
from torch import Tensor, nn

BANDS, LENGTH, RARE = 10, 20, 0.04


def record(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws recordings, shaped (count, LENGTH, BANDS), and whether there is a call, 0 or 1."""
    call = (torch.rand(count, generator=generator) < RARE).float()
    start = torch.randint(LENGTH - 6, (count,), generator=generator)
    sound = torch.randn(count, LENGTH, BANDS, generator=generator)
    rows = torch.arange(count)
    for later in range(6):
        sound[rows, start + later, 2 + later] += 1.5 * call
    return sound, call


class Listener(nn.Module):
    """A convolution over time whose strongest response is judged."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.detect = nn.Conv1d(BANDS, width, 6)
        self.judge = nn.Linear(width, 1)

    def forward(self, sound: Tensor) -> Tensor:
        """Gives one score for each recording, shaped (batch,)."""
        response = torch.relu(self.detect(sound.transpose(1, 2)))
        return self.judge(response.amax(dim=2)).squeeze(1)


@torch.no_grad()
def balanced_accuracy(model: nn.Module, sound: Tensor, call: Tensor) -> float:
    """Gives the mean of the shares of both kinds that are told right."""
    model.eval()
    right = (model(sound) > 0).float() == call
    return 0.5 * (right[call == 1].float().mean() + right[call == 0].float().mean()).item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Rare bird calls.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    sound, call = record(3000, generator)
    val_sound, val_call = record(3000, generator)
    model = Listener(args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor((1 - RARE) / RARE))

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(call)).split(args.batch_size):
            loss = criterion(model(sound[rows]), call[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows) / len(call)
        val = balanced_accuracy(model, val_sound, val_call)
        print(f"epoch {epoch} train_loss={total:.4f} val_balanced_acc={val:.3f}")


if __name__ == "__main__":
    main()
