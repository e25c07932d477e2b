"""Reads the state of a machine from the sound of its bearing.

A recording is 64 samples of vibration; each of five states has its own two tones. A one-dimensional
convolutional network is trained for a number of steps and evaluated now and then. What counts is
``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

STATES = 5


def listen(count: int, tones: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws recordings, shaped (count, 1, 64), and the state of each machine."""
    state = torch.randint(STATES, (count,), generator=generator)
    time = torch.arange(64)[None, :]
    sound = torch.zeros(count, 64)
    for tone in tones.T:
        phase = 6.28 * torch.rand(count, 1, generator=generator)
        sound = sound + torch.sin(tone[state][:, None] * time + phase)
    noise = 0.8 * torch.randn(count, 64, generator=generator)
    return TensorDataset((sound + noise)[:, None], state)


def build(width: int) -> nn.Module:
    """Builds the network."""
    return nn.Sequential(
        nn.Conv1d(1, width, 9, stride=2),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Conv1d(width, 2 * width, 9, stride=2),
        nn.BatchNorm1d(2 * width),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(2),
        nn.Flatten(),
        nn.Linear(4 * width, STATES),
    )


def evaluate(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of recordings whose state is told."""
    model.eval()
    with torch.no_grad():
        right = sum((model(sound).argmax(1) == state).sum().item() for sound, state in loader)
    return right / len(loader.dataset)


def main() -> None:
    """Trains the network and prints one line per evaluation."""
    parser = argparse.ArgumentParser(description="State of a machine from its sound.")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--evaluate-every", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    tones = 0.3 + 1.8 * torch.rand(STATES, 2, generator=generator)
    train_loader = DataLoader(listen(960, tones, generator), args.batch_size)
    val_loader = DataLoader(listen(400, tones, generator), 200)
    model = build(12)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for step in range(1, args.steps + 1):
        model.train()
        sound, state = next(iter(train_loader))
        loss = nn.functional.cross_entropy(model(sound), state)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.evaluate_every == 0:
            val_acc = evaluate(model, val_loader)
            print(f"step {step} loss={loss.item():.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
