"""Predicts the price of flats from nine of their features, with a small network.

What counts is ``val_r2``, the share of their variance that is explained.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

FEATURES = 9
LEVEL, SPREAD = 320_000.0, 90_000.0


def offers(count: int, weights: Tensor, generator: torch.Generator) -> TensorDataset:
    """Draws flats: standardised features, shaped (count, features), and the price of each."""
    features = torch.randn(count, FEATURES, generator=generator)
    worth = (features @ weights).tanh() + 0.6 * features[:, 0] * features[:, 1]
    worth = worth + 0.15 * torch.randn(count, generator=generator)
    return TensorDataset(features, LEVEL + SPREAD * worth)


class PriceNet(nn.Module):
    """Two hidden layers; says the price."""

    def __init__(self, hidden: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.price = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, features) to one price each."""
        return LEVEL + SPREAD * self.price(self.layers(features)).squeeze(1)


@torch.no_grad()
def explained(model: nn.Module, loader: DataLoader) -> float:
    """Returns the share of the variance of prices that is explained."""
    model.eval()
    pairs = [(model(features), price) for features, price in loader]
    said, price = (torch.cat(part) for part in zip(*pairs, strict=True))
    return 1 - ((said - price).square().mean() / price.var()).item()


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Prices of flats.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    weights = torch.randn(FEATURES, generator=generator) / 2
    train_loader = DataLoader(offers(1200, weights, generator), args.batch_size, shuffle=True)
    val_loader = DataLoader(offers(500, weights, generator), 250)
    model = PriceNet(args.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        for features, price in train_loader:
            loss = nn.functional.mse_loss(model(features), price)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss={loss.item():.4g} val_r2={explained(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
