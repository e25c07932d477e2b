"""Grades the ripeness of fruit from its reflectance spectrum with a deep multilayer perceptron.

A spectrum has forty bands. Three pigments absorb in overlapping bands, and the grade depends on
the ratio of two of them. What we care about is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BANDS = 40
GRADES = 5


def make_spectra(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws standardised spectra, shaped (count, BANDS), and the grade of each fruit."""
    band = torch.linspace(0.0, 1.0, BANDS)
    centres, widths = torch.tensor([0.25, 0.5, 0.7]), torch.tensor([0.08, 0.12, 0.06])
    absorption = torch.exp(-0.5 * ((band - centres[:, None]) / widths[:, None]) ** 2)
    amount = 0.2 + torch.rand(count, 3, generator=generator)
    spectra = torch.exp(-amount @ absorption)
    spectra = spectra + 0.01 * torch.randn(count, BANDS, generator=generator)
    ratio = amount[:, 0] / (amount[:, 0] + amount[:, 2])
    edges = torch.quantile(ratio, torch.linspace(0.0, 1.0, GRADES + 1)[1:-1])
    return (spectra - spectra.mean(0)) / spectra.std(0), torch.bucketize(ratio, edges)


class RipenessNet(nn.Module):
    """A stack of fully connected layers."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Linear(BANDS, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.grade = nn.Linear(width, GRADES)

    def forward(self, spectra: Tensor) -> Tensor:
        """Scores of the grades, shaped (count, GRADES)."""
        hidden = F.leaky_relu(self.stem(spectra))
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden))
        return self.grade(hidden)


@torch.no_grad()
def accuracy(model: nn.Module, spectra: Tensor, grade: Tensor) -> float:
    """Share of right answers."""
    return (model(spectra).argmax(1) == grade).float().mean().item()


def main() -> None:
    """Trains and prints the metric of every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--depth", type=int, default=9)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    spectra, grade = make_spectra(2000, torch.Generator().manual_seed(args.seed + 1))
    train_x, val_x = spectra[:1600], spectra[1600:]
    train_y, val_y = grade[:1600], grade[1600:]

    model = RipenessNet(args.width, args.depth)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        for rows in torch.randperm(len(train_x)).split(args.batch_size):
            loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        val_acc = accuracy(model, val_x, val_y)
        print(f"epoch {epoch + 1} | loss {loss.item():.4f} | val_acc {val_acc:.4f}")


if __name__ == "__main__":
    main()
