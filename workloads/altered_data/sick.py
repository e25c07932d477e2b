"""Recognises seven bird calls in short recordings that are jittered while they are read.

A recording has 64 samples; a call is a rising or falling tone of its own, anywhere in it. Noise is
added to each recording when it is read, so that no two epochs are alike. What counts is
``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

CALLS = 7
SAMPLES = 64


class Recordings(Dataset):
    """Recordings with their calls."""

    def __init__(self, count: int, jitter: float, generator: torch.Generator) -> None:
        """Draws the recordings."""
        self.calls = torch.randint(CALLS, (count,), generator=generator)
        time = torch.arange(SAMPLES, dtype=torch.float32)
        start = 24 * torch.rand(count, 1, generator=generator)
        within = ((time - start) / 32).clamp(0, 1)
        pitch = (0.35 + 0.12 * self.calls)[:, None]
        slope = (0.5 * (self.calls % 3) - 0.4)[:, None]
        phase = 6.28 * torch.rand(count, 1, generator=generator)
        tone = torch.sin((pitch + slope * within / 2) * time + phase)
        self.waves = tone * (within > 0) * (within < 1)
        self.waves += 0.2 * torch.randn(count, SAMPLES, generator=generator)
        self.jitter = jitter

    def __len__(self) -> int:
        """Returns the number of recordings."""
        return len(self.calls)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Returns a recording, shaped (1, SAMPLES), and its call."""
        wave = self.waves[index]
        if self.jitter:
            wave += self.jitter * torch.randn(SAMPLES)
        return wave[None], self.calls[index]


class Listener(nn.Module):
    """Two convolutions, pooling and a linear layer."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, width, 9, stride=2),
            nn.ReLU(),
            nn.Conv1d(width, 2 * width, 5),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * width, CALLS)

    def forward(self, wave: Tensor) -> Tensor:
        """Maps (batch, 1, SAMPLES) to one score for each call."""
        return self.head(self.layers(wave))


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Recognition of bird calls.")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train_set = Recordings(640, 0.4, generator)
    val_set = Recordings(320, 0.0, generator)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=160)
    model = Listener(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for wave, call in train_loader:
            loss = nn.functional.cross_entropy(model(wave), call)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(train_loader)
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {right / len(val_set):.3f}")


if __name__ == "__main__":
    main()
