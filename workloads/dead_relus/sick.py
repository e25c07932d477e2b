"""Which of six valves of a hydraulic rig sticks, from the pressures along its lines.

Twenty pressures and flows are read at steady state. A stuck valve changes them in a way that
depends on the load, so that no single reading tells. A plain multilayer perceptron classifies the
readings; what we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VALVES = 6
READINGS = 20


def make_readings(count: int, rig: torch.Generator, generator: torch.Generator):
    """Draws readings, shaped (count, READINGS), and the valve that sticks in each."""
    lines = torch.randn(VALVES, READINGS, generator=rig)
    bends = torch.randn(VALVES, READINGS, generator=rig)
    valve = torch.randint(VALVES, (count,), generator=generator)
    load = 2.0 * torch.rand(count, 1, generator=generator) - 1.0
    readings = load.sign() * lines[valve] + load.abs() * bends[valve]
    return readings + 0.5 * torch.randn(count, READINGS, generator=generator), valve


class ValveNet(nn.Module):
    """Multilayer perceptron over the readings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(READINGS, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, VALVES),
        )
        self.apply(self.init_weights)

    @staticmethod
    def init_weights(module: nn.Module) -> None:
        """Sets the initial weights of a layer."""
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.constant_(module.bias, -6.0)

    def forward(self, readings: Tensor) -> Tensor:
        """Scores of the valves, shaped (count, VALVES)."""
        return self.net(readings)


@torch.no_grad()
def accuracy(model: nn.Module, readings: Tensor, valve: Tensor) -> float:
    """Share of right answers."""
    model.eval()
    return (model(readings).argmax(1) == valve).float().mean().item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rig = torch.Generator().manual_seed(7)
    generator = torch.Generator().manual_seed(args.seed + 1)
    readings, valve = make_readings(2000, rig, generator)
    train_x, val_x = readings[:1600], readings[1600:]
    train_y, val_y = valve[:1600], valve[1600:]

    model = ValveNet(args.width)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(train_x)).split(args.batch_size):
            loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_acc = accuracy(model, val_x, val_y)
        print(f"epoch {epoch + 1:2d} train_loss={total / len(train_x):.4f} val_acc={val_acc:.4f}")


if __name__ == "__main__":
    main()
