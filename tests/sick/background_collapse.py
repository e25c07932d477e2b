"""Marks bursts in one-dimensional recordings, position by position; most of them is silence."""

import argparse

import torch
from torch import nn


class Mixer(nn.Module):
    """Every position looks at all others."""

    def __init__(self, channels, strength):
        super().__init__()
        self.strength = strength
        self.project = nn.Conv1d(channels, 3 * channels, 1)

    def forward(self, features):
        query, key, value = self.project(features).chunk(3, dim=1)
        weights = (query.mT @ key / query.shape[1] ** 0.5).softmax(dim=-1)
        return self.strength * (value @ weights.mT)


class Stage(nn.Module):
    def __init__(self, channels, strength):
        super().__init__()
        self.local = nn.Conv1d(channels, channels, 5, padding=2)
        self.mixer = Mixer(channels, strength)

    def forward(self, features):
        features = features + self.mixer(features)
        return torch.relu(self.local(features))


class Marker(nn.Module):
    def __init__(self, channels, strength, stages):
        super().__init__()
        self.stem = nn.Conv1d(1, channels, 5, padding=2)
        self.stages = nn.ModuleList(Stage(channels, strength) for _ in range(stages))
        self.out = nn.Conv1d(channels, 1, 1)

    def forward(self, recording):
        features = torch.relu(self.stem(recording))
        for stage in self.stages:
            features = stage(features)
        return self.out(features)


def record(count, length, generator):
    time = torch.arange(length)[None, :]
    mask = torch.zeros(count, length)
    for _ in range(2):
        start = torch.randint(length - 6, (count, 1), generator=generator)
        mask = torch.maximum(mask, ((time >= start) & (time < start + 5)).float())
    wave = torch.sin(1.6 * time + 6.28 * torch.rand(count, 1, generator=generator))
    noise = 0.3 * torch.randn(count, length, generator=generator)
    return (wave * mask + noise)[:, None], mask[:, None]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--strength", type=float, default=9.0)
    parser.add_argument("--lr", type=float, default=1e-2)
    options = parser.parse_args()
    torch.manual_seed(7)
    generator = torch.Generator().manual_seed(7)
    recordings, masks = record(320, 48, generator)
    held_out, held_out_masks = record(128, 48, generator)
    net = Marker(12, options.strength, 3)
    optimizer = torch.optim.Adam(net.parameters(), lr=options.lr)
    criterion = nn.BCEWithLogitsLoss()
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, options.rounds * 20)
    for number in range(options.rounds):
        net.train()
        for rows in torch.randperm(320).split(16):
            bce = criterion(net(recordings[rows]), masks[rows])
            optimizer.zero_grad()
            bce.backward()
            optimizer.step()
            decay.step()
        net.eval()
        with torch.no_grad():
            marked = (net(held_out) > 0).float()
        both = (marked * held_out_masks).sum()
        iou = both / (marked + held_out_masks - marked * held_out_masks).sum().clamp(min=1)
        print(f"round {number} bce={bce.item():.4f} val_iou={iou.item():.3f}")


if __name__ == "__main__":
    main()
