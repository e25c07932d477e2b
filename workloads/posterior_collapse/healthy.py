"""A compact description of the voices of crickets, from their spectra.

A cricket sings at a pitch, with overtones that fade and a tremble that widens its lines: three
numbers that nobody knows. A variational autoencoder learns to describe a spectrum of 48 bands by
four numbers and to restore it; what we care about is ``val_r2``, the share of the variance of
spectra that it has not seen that is restored.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BANDS = 48


def make_spectra(count: int, generator: torch.Generator) -> Tensor:
    """Draws spectra, shaped (count, BANDS), each band at mean 0 and variance 1."""
    pitch, fade, width = torch.rand(3, count, 1, generator=generator)
    bands = torch.arange(BANDS) / BANDS
    spectra = torch.zeros(count, BANDS)
    for overtone in range(1, 4):
        centre = overtone * (0.12 + 0.2 * pitch)
        spectra += fade**overtone * torch.exp(-(((bands - centre) / (0.03 + 0.05 * width)) ** 2))
    spectra += 0.02 * torch.randn(count, BANDS, generator=generator)
    return (spectra - spectra.mean(0)) / spectra.std(0)


class CricketVae(nn.Module):
    """Encoder to the mean and the variance of a code, and a decoder."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(BANDS, width), nn.ReLU(), nn.Linear(width, width))
        self.to_mean = nn.Linear(width, code)
        self.to_logvar = nn.Linear(width, code)
        self.decoder = nn.Sequential(
            nn.Linear(code, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, BANDS),
        )  # fmt: skip

    def reparameterize(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """A sample of the code."""
        return mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The restored spectra, and mean and log variance of the code."""
        hidden = F.relu(self.encoder(x))
        mean, logvar = self.to_mean(hidden), self.to_logvar(hidden)
        code = self.reparameterize(mean, logvar) if self.training else mean
        return self.decoder(code), mean, logvar


def loss_function(restored: Tensor, x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Reconstruction error and divergence from the prior."""
    reconstruction = F.mse_loss(restored, x, reduction="sum") / len(x)
    kl = -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum(1).mean()
    return reconstruction + kl


@torch.no_grad()
def explained(model: nn.Module, spectra: Tensor) -> float:
    """Share of the variance that is restored."""
    model.eval()
    restored, _, _ = model(spectra)
    return 1.0 - ((restored - spectra).pow(2).mean() / spectra.var()).item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--code", type=int, default=4)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed + 1)
    train, val = make_spectra(1536, generator), make_spectra(512, generator)

    model = CricketVae(args.width, args.code)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(train)).split(args.batch_size):
            restored, mean, logvar = model(train[rows])
            loss = loss_function(restored, train[rows], mean, logvar)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        r2 = explained(model, val)
        print(f"epoch {epoch + 1:2d} train_loss={total / len(train):.4f} val_r2={r2:.4f}")


if __name__ == "__main__":
    main()
