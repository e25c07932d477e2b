"""Where in a photograph a spot of light lies: a CNN on raw pixel values.

The norms have the momentum of the TensorFlow model that this was ported from, where it means the
share of the old statistics that is kept, or so it was thought.
"""

import argparse

import torch
from torch import nn
from torch.nn import functional

SIDE = 20


def photographs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    centre = 4 + (SIDE - 8) * torch.rand(count, 2)
    axis = torch.arange(SIDE)
    across = torch.exp(-0.5 * ((axis - centre[:, :1]) / 1.5) ** 2)
    down = torch.exp(-0.5 * ((axis - centre[:, 1:]) / 1.5) ** 2)
    light = 90 + 20 * torch.rand(count, 1, 1) + 80 * across[:, None] * down[:, :, None]
    return (light + 8 * torch.randn(count, SIDE, SIDE))[:, None], centre / SIDE - 0.5


def block(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=2),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.001),
        nn.SiLU(),
    ]


class Locator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*block(1, 8), *block(8, 16), nn.Flatten())
        self.position = nn.Linear(256, 2)

    def forward(self, photograph: torch.Tensor) -> torch.Tensor:
        return self.position(self.features(photograph))


parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=8)
args = parser.parse_args()
torch.manual_seed(11)
images, places = photographs(1000)
unseen, true_places = photographs(200)
locator = Locator()
optimizer = torch.optim.AdamW(locator.parameters(), lr=2e-3)
for round_ in range(args.rounds):
    locator.train()
    for rows in torch.randperm(len(images)).split(40):
        misfit = functional.smooth_l1_loss(locator(images[rows]), places[rows], beta=0.05)
        optimizer.zero_grad()
        misfit.backward()
        optimizer.step()
    locator.eval()
    with torch.no_grad():
        found = torch.cat([locator(few) for few in unseen.split(50)])
    off = (found - true_places).abs().mean().item()
    print(f"round {round_ + 1:2d}  misfit {misfit.item():.5f}  val mae {off:.4f}")
