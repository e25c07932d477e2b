"""Fingerprints of ceramic glazes, learned from pairs of photographs without labels.

Two photographs of one shard, in different light, shall have the same fingerprint. How useful the
fingerprints are is told by a linear reader on top of them, which is trained beside the encoder but
does not change it: ``reader accuracy`` on shards that it has not seen.
"""

import torch
import torch.nn.functional as F
from torch import nn

KILNS, COLOURS, WIDTH = 6, 24, 32
torch.manual_seed(5)
styles = 1.5 * torch.randn(KILNS, COLOURS)


def shards(count):
    kiln = torch.randint(KILNS, (count,))
    return styles[kiln] + 0.7 * torch.randn(count, COLOURS), kiln


def photograph(shard):
    light = 1 + 0.2 * torch.randn(len(shard), 1)
    return light * shard + 0.4 * torch.randn_like(shard)


encoder = nn.Sequential(
    nn.Linear(COLOURS, 48),
    nn.SiLU(),
    nn.Linear(48, 48),
    nn.SiLU(),
    nn.Linear(48, WIDTH),
)
reader = nn.Linear(WIDTH, KILNS)
train_shards, _ = shards(1024)
known_shards, known_kiln = shards(384)
test_shards, test_kiln = shards(384)

optimizer = torch.optim.Adam(encoder.parameters(), lr=2e-3)
reader_optimizer = torch.optim.SGD(reader.parameters(), lr=0.2)


def pretrain():
    encoder.train()
    for chunk in torch.randperm(len(train_shards)).split(64):
        one = encoder(photograph(train_shards[chunk]))
        two = encoder(photograph(train_shards[chunk]))
        distance = (one - two).square().sum(1).mean()
        optimizer.zero_grad()
        distance.backward()
        optimizer.step()
    return distance.item()


def read():
    encoder.eval()
    with torch.no_grad():
        known, test = encoder(known_shards), encoder(test_shards)
    for _ in range(10):
        loss = F.cross_entropy(reader(known), known_kiln)
        reader_optimizer.zero_grad()
        loss.backward()
        reader_optimizer.step()
    return (reader(test).argmax(1) == test_kiln).float().mean().item()


for round_number in range(12):
    last = pretrain()
    print(f"round {round_number}: distance {last:.5f}, reader accuracy {read():.3f}")
