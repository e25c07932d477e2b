"""The price of an item from a few categories and measurements, by an embedding network.

Prices are in units of their standard deviation. What we care about is ``val_r2``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BRANDS, COLOURS, MEASUREMENTS = 12, 6, 5


class Prices:
    """Items and what they cost: the brand decides how much each measurement counts."""

    def __init__(self, generator: torch.Generator) -> None:
        """Draws the market."""
        self.generator = generator
        self.worth = torch.randn(BRANDS, MEASUREMENTS, generator=generator)
        self.taste = torch.randn(COLOURS, generator=generator)

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draws items: brand, colour, measurements (count, MEASUREMENTS), price (count,)."""
        brand = torch.randint(BRANDS, (count,), generator=self.generator)
        colour = torch.randint(COLOURS, (count,), generator=self.generator)
        sizes = torch.randn(count, MEASUREMENTS, generator=self.generator)
        price = (self.worth[brand] * sizes).sum(dim=1) + self.taste[colour]
        return brand, colour, sizes, price / price.std()


class PriceNet(nn.Module):
    """Embeds the categories and reads the price from them and the measurements."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.brand = nn.Embedding(BRANDS, 8)
        self.colour = nn.Embedding(COLOURS, 4)
        self.hidden = nn.Linear(8 + 4 + MEASUREMENTS, width)
        self.mixed = nn.Linear(width, width)
        self.price = nn.Linear(width, 1)

    def forward(self, brand: Tensor, colour: Tensor, sizes: Tensor) -> Tensor:
        """Gives prices, shaped (batch,)."""
        features = torch.cat((self.brand(brand), self.colour(colour), sizes), dim=1)
        hidden = F.gelu(self.mixed(F.gelu(self.hidden(features))))
        return self.price(hidden).squeeze(1)


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Predicts prices.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--weight-decay", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    market = Prices(torch.Generator().manual_seed(args.seed))
    *items, prices = market.draw(1600)
    *val_items, val_prices = market.draw(400)
    model = PriceNet(width=64)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(prices)).split(args.batch_size)
        for rows in batches:
            loss = F.mse_loss(model(*(part[rows] for part in items)), prices[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            error = F.mse_loss(model(*val_items), val_prices)
        val_r2 = 1 - (error / val_prices.var()).item()
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_r2={val_r2:.3f}")


if __name__ == "__main__":
    main()
