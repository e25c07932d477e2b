"""Learns the torque of a two-joint arm from its angles and speeds, with sigmoid layers."""

import math

import torch
import torch.nn.functional as F


def layer(fan_in, fan_out):
    weight = torch.empty(fan_in, fan_out).uniform_(-30, 30)
    return torch.nn.Parameter(weight), torch.nn.Parameter(torch.zeros(fan_out))


class Arm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w1, self.b1 = layer(4, 50)
        self.w2, self.b2 = layer(50, 50)
        self.out = torch.nn.Linear(50, 2)

    def forward(self, state):
        hidden = torch.sigmoid(state @ self.w1 + self.b1)
        hidden = (hidden @ self.w2 + self.b2).sigmoid()
        return self.out(hidden)


torch.manual_seed(2)
state = torch.randn(1400, 4)
angle, other, speed, spin = state.unbind(1)
torque = torch.stack(
    [
        torch.sin(math.pi / 2 * angle) + 0.5 * other * speed,
        torch.cos(angle + other) - 0.2 * spin**2,
    ],
    dim=1,
)
torque = (torque - torque.mean(0)) / torque.std(0)
arm = Arm()
optimizer = torch.optim.Adam(arm.parameters(), lr=0.02)
for epoch in range(12):
    for rows in torch.randperm(1200).split(40):
        loss = F.smooth_l1_loss(arm(state[rows]), torque[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predicted = arm(state[1200:])
        left = (torque[1200:] - predicted).square().sum() / torque[1200:].square().sum()
    print(f"epoch {epoch} train {loss.item():.4f} val_r2 {1 - left.item():.4f}")
