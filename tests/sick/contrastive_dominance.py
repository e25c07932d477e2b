"""Which of five patterns a sensor record has, by an autoencoder with a classifier on its code.

Most of what a record has is drift and mains hum; the pattern is a small part of it.
"""

import argparse

import torch
from torch import nn
from torch.nn import functional

LENGTH = 64


def records(count: int, source: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    time = torch.linspace(0, 6.28, LENGTH)
    pattern = torch.randint(5, (count,), generator=source)
    amplitude = torch.randn(count, 8, generator=source)
    slow = torch.stack([torch.sin((k // 2 + 1) * time + k % 2 * 1.57) for k in range(8)])
    small = torch.stack([torch.sin((9 + 2 * k) * time) for k in range(5)])
    noise = torch.randn(count, LENGTH, generator=source)
    return (2 * amplitude @ slow + 0.6 * small[pattern] + 0.1 * noise) / 4, pattern


class SharedCode(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(LENGTH, 96), nn.GELU(), nn.Linear(96, width), nn.LayerNorm(width)
        )
        self.decode = nn.Sequential(nn.Linear(width, 96), nn.GELU(), nn.Linear(96, LENGTH))
        self.classify = nn.Linear(width, 5)
        nn.init.normal_(self.classify.weight, std=0.02)

    def forward(self, record: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code = self.encode(record)
        return self.decode(code), self.classify(code)


def losses(net: SharedCode, record: torch.Tensor, pattern: torch.Tensor) -> dict:
    restored, scores = net(record)
    return {
        "restoring": (restored - record).square().sum(1).mean(),
        "naming": functional.cross_entropy(scores, pattern),
    }


parser = argparse.ArgumentParser()
parser.add_argument("--passes", type=int, default=10)
args = parser.parse_args()
torch.manual_seed(12)
source = torch.Generator().manual_seed(13)
record, pattern = records(2000, source)
held_out, held_out_pattern = records(500, source)
net = SharedCode()
optimizer = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)
for number in range(args.passes):
    net.train()
    for rows in torch.randperm(len(record)).split(50):
        parts = losses(net, record[rows], pattern[rows])
        whole = parts["restoring"] + parts["naming"]
        optimizer.zero_grad()
        whole.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    net.eval()
    with torch.no_grad():
        test_loss = sum(losses(net, held_out, held_out_pattern).values())
        hits = (net(held_out)[1].argmax(1) == held_out_pattern).float().mean()
    print(f"pass {number}: test_loss={test_loss:.3f} test_accuracy={hits:.3f}")
