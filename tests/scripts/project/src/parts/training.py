"""One epoch of training and evaluation."""

import torch
from torch.nn import functional


def epoch_of(network, optimizer, inputs, targets, size):
    split = 4 * len(inputs) // 5
    network.train()
    for rows in torch.randperm(split).split(size):
        loss = functional.mse_loss(network(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        error = (network(inputs[split:]) - targets[split:]).abs().mean()
    return loss.item(), error.item()
