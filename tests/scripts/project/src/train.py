"""Run from the folder above: ``python src/train.py --config conf/small.yaml``."""

import argparse
import csv
from pathlib import Path

import torch
import yaml
from parts.network import build
from parts.training import epoch_of

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path, default=Path("conf/small.yaml"))
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
config = yaml.safe_load(options.config.read_text())
torch.manual_seed(options.seed)
with open(config["data"], newline="") as file:
    rows = [[float(value) for value in row] for row in csv.reader(file)]
table = torch.tensor(rows)
inputs, targets = table[:, :-1], table[:, -1:]
network = build(**config["model"])
optimizer = getattr(torch.optim, config["optimizer"])(network.parameters(), lr=config["lr"])
for epoch in range(config["epochs"]):
    loss, error = epoch_of(network, optimizer, inputs, targets, config["batch_size"])
    print(f"epoch {epoch:2d}  train/loss {loss:.4f}  val/mae {error:.4f}")
Path("checkpoints").mkdir()
torch.save(network.state_dict(), "checkpoints/last.pt")
torch.save(network.state_dict(), "final.pt")
