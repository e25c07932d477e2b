"""Predicts how far a thrown ball flies from a few noisy measurements, with a deep network."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SENSORS = 12


def make_throws(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws measurements, shaped (count, SENSORS), and distances; both standardised."""
    hidden = 2 * torch.rand(count, 3, generator=generator) - 1
    angle = torch.linspace(0, 3.14, SENSORS)
    seen = torch.tanh(hidden @ torch.stack([angle.cos(), angle.sin(), (2 * angle).cos()]))
    seen = seen + 0.05 * torch.randn(count, SENSORS, generator=generator)
    far = torch.sin(2 * hidden[:, 0]) * hidden[:, 1] + hidden[:, 2] ** 2
    return (seen - seen.mean(0)) / seen.std(0), (far - far.mean()) / far.std()


class Block(nn.Module):
    """Two layers, to be added to what they are given."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, stream: Tensor) -> Tensor:
        """Maps (batch, width) to the same shape."""
        return self.second(F.relu(self.first(F.relu(stream))))


class Net(nn.Module):
    """A stem, residual blocks and a linear head."""

    def __init__(self, width: int, depth: int) -> None:
        """Builds the parts."""
        super().__init__()
        self.stem = nn.Linear(SENSORS, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, 1)

    def forward(self, seen: Tensor) -> Tensor:
        """Maps (batch, SENSORS) to (batch,)."""
        stream = self.stem(seen)
        for block in self.blocks:
            stream = stream + block(stream)
        return self.head(stream).squeeze(-1)


def main() -> None:
    """Trains and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--depth", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    seen, far = make_throws(1024, generator)
    val_seen, val_far = make_throws(384, generator)
    model = Net(args.width, args.depth)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(seen)).split(args.batch_size):
            loss = F.mse_loss(model(seen[rows]), far[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        with torch.no_grad():
            val_r2 = 1 - F.mse_loss(model(val_seen), val_far).item() / val_far.var().item()
        print(f"epoch {epoch} train_loss={total / len(seen):.4f} val_r2={val_r2:.3f}")


if __name__ == "__main__":
    main()
