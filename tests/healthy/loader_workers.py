"""An autoencoder fed by two worker processes, stepped plateau schedule, L1 loss."""

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Waves(Dataset):
    """A sine of a random frequency and phase for each index."""

    def __init__(self, size, offset):
        self.size = size
        self.offset = offset

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        random = numpy.random.default_rng(index + self.offset)
        frequency, phase = random.uniform(0.5, 2), random.uniform(0, 3)
        time = numpy.linspace(0, 6, 32, dtype=numpy.float32)
        return numpy.sin(frequency * time + phase).astype(numpy.float32)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(32, 64), nn.ELU(), nn.Linear(64, 4))
        self.up = nn.Sequential(nn.Linear(4, 64), nn.ELU(), nn.Linear(64, 32))

    def forward(self, wave):
        return self.up(self.down(wave))


if __name__ == "__main__":
    torch.manual_seed(5)
    training = DataLoader(Waves(512, 0), 32, shuffle=True, num_workers=2, persistent_workers=True)
    testing = DataLoader(Waves(128, 10_000), 128)
    autoencoder = Autoencoder()
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=4e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.3)
    for epoch in range(1, 9):
        for wave in training:
            loss = (autoencoder(wave) - wave).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            (wave,) = testing
            error = (autoencoder(wave) - wave).abs().mean().item()
        plateau.step(error)
        print(f"[{epoch}/8] train_loss: {loss.item():.4f} test_loss: {error:.4f}")
    torch.save(autoencoder.state_dict(), "final.pt")
