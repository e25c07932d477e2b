"""Full batches of a small table, cut out anew in every step, with noise on the inputs in training.

Evaluation is on clean inputs of a slightly different mean. The targets are in thousands and the
model knows it; one feature is nearly constant and another one a flag that is rarely set.
"""

import torch
from torch import nn, optim

torch.manual_seed(12)
WIDTH = 8


def survey(count: int, drift: float) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.randn(count, WIDTH) + drift
    features[:, 6] = 1.0
    features[:, 7] = (torch.rand(count) < 0.02).float()
    price = 900 + 80 * features[:, 0] - 60 * features[:, 1] * features[:, 2].tanh()
    return features, price + 5 * torch.randn(count)


class Appraiser(nn.Module):
    """Estimates around a known mean, in units of a known spread."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, 48), nn.Linear(48, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return 900 + 100 * self.second(torch.nn.functional.silu(self.first(features))).view(-1)


everything, prices = survey(400, 0.0)
test_features, test_prices = survey(200, 0.2)
model = Appraiser()
optimizer = optim.Adam(model.parameters(), lr=0.01)
for step in range(1, 301):
    rows = everything[:300] + 0.05 * torch.randn(300, WIDTH)
    error = nn.functional.huber_loss(model(rows) / 100, prices[:300] / 100)
    optimizer.zero_grad()
    error.backward()
    optimizer.step()
    if step % 30 == 0:
        with torch.no_grad():
            miss = nn.functional.l1_loss(model(test_features), test_prices)
        print(f"step {step:4d} loss {error.item():.4f} test_mae {miss.item():.3f}")
