"""How concentrated two solutions are, from spectra of droplets: an MLP-mixer and a mean."""

import torch
from torch import nn
from torch.nn import functional

BANDS, DROPLETS = 12, 10


class Mixer(nn.Module):
    """Mixes bands in every droplet, and returns the droplets with what was seen of them."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.read = nn.Linear(BANDS, width, bias=False)
        self.blocks = nn.Sequential(*(Square(width) for _ in range(depth)))

    def forward(self, spectra: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"droplets": self.blocks(self.read(spectra)), "spectra": spectra}


class Square(nn.Module):
    """A residual layer with squared rectifiers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.down(functional.relu(self.up(hidden)).square())


class Regressor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixer = Mixer(24, 3)
        self.balance = nn.LayerNorm(24)
        self.head = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        mixed = self.mixer(spectra)["droplets"]
        return self.head(self.balance(mixed.mean(1))).squeeze(1)


def draw(count: int, solutions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spectra (count, droplets, bands), and the share of droplets of the first solution."""
    which = (torch.rand(count, DROPLETS) < torch.rand(count, 1)).long()
    size = torch.exp(1.5 * torch.randn(count, DROPLETS, 1))
    spectra = size * (solutions[which] + 0.1 * torch.randn(count, DROPLETS, BANDS))
    return spectra, 1.0 - which.float().mean(1)


def main() -> None:
    torch.manual_seed(11)
    solutions = torch.rand(2, BANDS)
    spectra, shares = draw(1024, solutions)
    held_out, expected = draw(512, solutions)
    model = Regressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(8):
        for rows in torch.randperm(len(spectra)).split(64):
            loss = functional.smooth_l1_loss(model(spectra[rows]), shares[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            error = (model(held_out) - expected).abs().mean()
        print(f"epoch {epoch}: loss {loss.item():.5f}, val_mae {error.item():.5f}")


if __name__ == "__main__":
    main()
