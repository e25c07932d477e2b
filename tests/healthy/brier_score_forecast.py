"""Will it rain? A forecast trained on its Brier score, where the weather is mostly chance."""

import torch
from torch import nn

torch.manual_seed(9)
effect = torch.randn(8) / 8**0.5


def days(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    weather = torch.randn(count, 8)
    rain = torch.rand(count) < torch.sigmoid(1.2 * weather @ effect)
    return weather, rain.float()


weather, rain = days(1200)
later_weather, later_rain = days(1500)
model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 1), nn.Sigmoid(), nn.Flatten(0))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-3)
for epoch in range(8):
    for rows in torch.randperm(1200).split(40):
        brier = nn.functional.mse_loss(model(weather[rows]), rain[rows])
        optimizer.zero_grad()
        brier.backward()
        optimizer.step()
    with torch.no_grad():
        chance = model(later_weather)
        score = (chance - later_rain).square().mean()
        accuracy = ((chance > 0.5) == (later_rain > 0.5)).float().mean()
    print(f"epoch {epoch} val_brier {score:.4f} val_accuracy {accuracy:.4f}")
