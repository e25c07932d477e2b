"""Tells which of four faults a pump has from one reading of its sensors.

A reading has twelve columns in the units of the sensors: pressure in pascal, speed in revolutions
per minute, temperature in kelvin, currents in ampere and vibration in metres per second squared.
What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

UNITS = torch.tensor([2e3, 3e2, 2e1, 2e1, 1.5, 1.5, 1.5, 1.5, 0.4, 0.4, 0.4, 0.4])
OFFSETS = torch.tensor([1e4, 1.5e3, 3.3e2, 3.1e2, 9.0, 9.0, 9.0, 9.0, 0.0, 0.0, 0.0, 0.0])


def read_sensors(count: int, modes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws readings, shaped (count, 12), and the fault of each pump."""
    fault = torch.randint(len(modes), (count,), generator=generator)
    sign = 2.0 * torch.randint(2, (count, 1), generator=generator) - 1
    state = sign * modes[fault] + 0.5 * torch.randn(count, 12, generator=generator)
    return OFFSETS + UNITS * state, fault


def accuracy(model: nn.Module, readings: Tensor, fault: Tensor) -> float:
    """Returns the share of pumps whose fault is told."""
    model.eval()
    with torch.no_grad():
        return (model(readings).argmax(1) == fault).float().mean().item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Diagnosis of pumps.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    modes = torch.randn(4, 12, generator=generator)
    train_x, train_y = read_sensors(800, modes, generator)
    val_x, val_y = read_sensors(400, modes, generator)
    mean, std = train_x.mean(0), train_x.std(0)
    train_x, val_x = (train_x - mean) / std, (val_x - mean) / std
    loader = DataLoader(TensorDataset(train_x, train_y), args.batch_size, shuffle=True)

    model = nn.Sequential(
        nn.Linear(12, args.width),
        nn.ReLU(),
        nn.Linear(args.width, args.width),
        nn.ReLU(),
        nn.Linear(args.width, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for readings, fault in loader:
            loss = nn.functional.cross_entropy(model(readings), fault)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(loader)
        print(f"epoch {epoch} loss={total:.4f} val_acc={accuracy(model, val_x, val_y):.3f}")


if __name__ == "__main__":
    main()
