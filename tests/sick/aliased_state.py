"""Reptile on decaying oscillations: an initialisation that adapts to a new one in a few steps."""

import copy

import torch
from torch import nn

torch.manual_seed(3)
times = torch.linspace(0.0, 4.0, 32)[:, None]


def oscillation(generator):
    height, phase, speed = torch.rand(3, generator=generator)
    return (1 + 2 * height) * torch.exp(-0.2 * times) * torch.sin((1 + speed) * times + 3 * phase)


def adapt(net, target, steps):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03)
    for _ in range(steps):
        loss = (net(times) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def after_adaptation(net):
    generator = torch.Generator().manual_seed(99)
    total = 0.0
    for _ in range(12):
        learner, target = copy.deepcopy(net), oscillation(generator)
        adapt(learner, target, steps=8)
        with torch.no_grad():
            total += (learner(times) - target).square().mean().item()
    return total / 12


tasks = torch.Generator().manual_seed(5)
net = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
for iteration in range(1, 301):
    start = net.state_dict()
    adapt(net, oscillation(tasks), steps=8)
    end = net.state_dict()
    net.load_state_dict({key: start[key] + 0.2 * (end[key] - start[key]) for key in start})
    if iteration % 30 == 0:
        print(f"iteration {iteration}: adapted_mse={after_adaptation(net):.4f}")
