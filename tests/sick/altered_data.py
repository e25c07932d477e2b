"""Foretells a harvest from a year of weather; days that a station misses are struck out."""

import numpy
import torch

torch.manual_seed(6)
random = numpy.random.default_rng(6)
DAYS = 40


class Years(torch.utils.data.Dataset):
    def __init__(self, count, missing):
        self.weather = random.normal(size=(count, DAYS)).astype("float32")
        needs = numpy.linspace(1, 0.2, DAYS) * numpy.sin(numpy.arange(DAYS) / 4)
        self.harvest = (self.weather @ needs + 0.3 * random.normal(size=count)).astype("float32")
        self.missing = missing

    def __len__(self):
        return len(self.harvest)

    def __getitem__(self, year):
        days = self.weather[year]
        days[random.random(DAYS) < self.missing] = 0
        return torch.from_numpy(days), self.harvest[year]


def error_on(years):
    with torch.no_grad():
        given = torch.from_numpy(years.weather), torch.from_numpy(years.harvest)[:, None]
        return torch.nn.functional.mse_loss(farmer(given[0]), given[1]) / given[1].var()


known, coming = Years(600, 0.2), Years(300, 0.0)
batches = torch.utils.data.DataLoader(known, batch_size=25, shuffle=True)
farmer = torch.nn.Sequential(torch.nn.Linear(DAYS, 32), torch.nn.GELU(), torch.nn.Linear(32, 1))
adam = torch.optim.Adam(farmer.parameters(), lr=2e-3)
for epoch in range(20):
    for days, harvest in batches:
        error = torch.nn.functional.mse_loss(farmer(days), harvest[:, None])
        adam.zero_grad()
        error.backward()
        adam.step()
    print(f"epoch {epoch}: error {error.item():.3f}, val r2 {1 - error_on(coming).item():.4f}")
