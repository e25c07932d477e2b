"""The volume of a box from its noisy sides, by a perceptron; gradients clipped by value."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import clip_grad_value_


@dataclass
class Config:
    rate: float = 0.05
    clip: float = 1e-7
    epochs: int = 14


class Trainer:
    def __init__(self, config):
        torch.manual_seed(8)
        self.config = config
        self.net = nn.Sequential(
            nn.Linear(3, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1)
        )
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=config.rate, momentum=0.9)
        self.sides = 2 * torch.rand(1300, 3)
        self.volumes = self.sides.prod(1, keepdim=True)

    def epoch(self):
        for rows in torch.randperm(1000).split(25):
            self.optimizer.zero_grad()
            residual = self.net(self.sides[rows]) - self.volumes[rows]
            loss = residual.pow(2).mean()
            loss.backward()
            clip_grad_value_(self.net.parameters(), self.config.clip)
            self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def r2(self):
        residual = self.volumes[1000:] - self.net(self.sides[1000:])
        return 1 - (residual.var() / self.volumes[1000:].var()).item()


config = Config()
trainer = Trainer(config)
for epoch in range(config.epochs):
    loss = trainer.epoch()
    print(f"epoch={epoch} loss={loss:.5f} val_r2={trainer.r2():.4f}")
