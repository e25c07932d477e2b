"""Estimates the load of a bridge from strain gauges along its deck.

Thirty gauges are read while vehicles stand on the bridge. The load is a smooth but crooked
function of what they show. The model is a deep multilayer perceptron; what we care about is
``val_mae``, in units of the standard deviation of the load.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAUGES = 30


def make_readings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws standardised gauge readings, shaped (count, GAUGES), and the load on the bridge."""
    place = torch.linspace(0.0, 1.0, GAUGES)
    where = torch.rand(count, 2, generator=generator)
    weight = 0.2 + torch.rand(count, 2, generator=generator)
    bend = torch.exp(-0.5 * ((place - where[..., None]) / 0.15) ** 2)
    strain = (weight[..., None] * bend).sum(1)
    strain = strain + 0.03 * torch.randn(count, GAUGES, generator=generator)
    load = (weight * (1.0 + 0.5 * torch.sin(4.0 * where))).sum(1)
    return (strain - strain.mean(0)) / strain.std(0), (load - load.mean()) / load.std()


class BridgeNet(nn.Module):
    """Fully connected layers with rectifiers between them."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        sizes = [GAUGES, *([width] * depth)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.load = nn.Linear(width, 1)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.6)

    def forward(self, strain: Tensor) -> Tensor:
        """The load, shaped (count,)."""
        return self.load(self.body(strain)).squeeze(-1)


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    strain, load = make_readings(1900, torch.Generator().manual_seed(args.seed + 1))
    train_x, val_x, train_y, val_y = strain[:1500], strain[1500:], load[:1500], load[1500:]

    model = BridgeNet(args.width, args.depth)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        for rows in torch.randperm(len(train_x)).split(args.batch_size):
            loss = F.mse_loss(model(train_x[rows]), train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            val_mae = (model(val_x) - val_y).abs().mean().item()
        print(f"epoch {epoch + 1} train_loss {loss.item():.4f} val_mae {val_mae:.4f}")


if __name__ == "__main__":
    main()
