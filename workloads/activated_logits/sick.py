"""Recognises spoken commands, drawn as small spectrograms, with a convolutional network.

A spectrogram is 12 bands by 16 frames. Each of the ten commands is a fixed pattern of energy that
is shifted in time, of varying loudness and in noise. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

COMMANDS = 10
BANDS, FRAMES = 12, 16


def record(count: int, patterns: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws spectrograms, shaped (count, 1, bands, frames), and the command in each."""
    command = torch.randint(COMMANDS, (count,), generator=generator)
    loudness = 0.7 + 0.6 * torch.rand(count, 1, 1, generator=generator)
    shift = torch.randint(-2, 3, (count,), generator=generator)
    frames = (torch.arange(FRAMES)[None, :] + shift[:, None]) % FRAMES
    clean = patterns[command].gather(2, frames[:, None, :].expand(-1, BANDS, -1))
    noise = torch.randn(count, BANDS, FRAMES, generator=generator)
    return TensorDataset((loudness * clean + 0.7 * noise)[:, None], command)


class CommandNet(nn.Module):
    """Two convolutions and a classifier."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(2 * width * (BANDS // 4) * (FRAMES // 4), 48),
            nn.ReLU(),
            nn.Linear(48, COMMANDS),
            nn.Softmax(dim=1),
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Maps (batch, 1, bands, frames) to one score for each command."""
        return self.classifier(self.features(spectrogram))


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of commands that are recognised."""
    model.eval()
    right = sum((model(batch).argmax(1) == command).sum().item() for batch, command in loader)
    return right / len(loader.dataset)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Recognition of spoken commands.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    patterns = torch.randn(COMMANDS, BANDS, FRAMES, generator=generator)
    train_data = record(800, patterns, generator)
    val_data = record(400, patterns, generator)
    train_loader = DataLoader(train_data, args.batch_size, shuffle=True)
    val_loader = DataLoader(val_data, 200)
    model = CommandNet(args.width)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for spectrogram, command in train_loader:
            loss = criterion(model(spectrogram), command)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_acc = accuracy(model, val_loader)
        print(f"epoch {epoch} train_loss={total / len(train_loader):.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
