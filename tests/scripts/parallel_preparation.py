"""Prepares its data in a pool of processes, trains, and logs to MLflow."""

import math
import multiprocessing

import mlflow
import torch
from torch import nn


def sample(number):
    angle = 2.4 * number
    radius = (number % 97) / 97
    return radius * math.cos(angle), radius * math.sin(angle), float(radius > 0.5)


def main():
    with multiprocessing.Pool(2) as pool:
        table = torch.tensor(pool.map(sample, range(600)))
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3, momentum=0.9)
    with mlflow.start_run():
        mlflow.log_params({"lr": 0.3, "momentum": 0.9})
        for epoch in range(10):
            for rows in torch.randperm(480).split(40):
                logits = network(table[rows, :2])
                loss = nn.functional.binary_cross_entropy_with_logits(logits, table[rows, 2:])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                hits = (network(table[480:, :2]) > 0) == (table[480:, 2:] > 0.5)
            mlflow.log_metric("train_loss", loss.item(), epoch)
            mlflow.log_metric("val_accuracy", hits.float().mean().item(), epoch)
    torch.save(network.state_dict(), "final.pt")


if __name__ == "__main__":
    main()
