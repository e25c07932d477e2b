"""Twelve clouds of points, two things wrong at once."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--lr", type=float, default=1e-4)
options = parser.parse_args()

torch.manual_seed(2)
CLASSES, FEATURES = 12, 30
centres = torch.randn(CLASSES, FEATURES)


def draw(count):
    labels = torch.randint(CLASSES, (count,))
    return centres[labels] + 1.6 * torch.randn(count, FEATURES), labels


class Classifier(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.first = nn.Linear(FEATURES, width)
        self.second = nn.Linear(width, width)
        self.scores = nn.Linear(width, CLASSES)

    def forward(self, points):
        hidden = F.relu(self.second(F.relu(self.first(points))))
        return F.softmax(self.scores(hidden), dim=1)


points, labels = draw(2000)
held_out, held_out_labels = draw(500)
net = Classifier()
sgd = torch.optim.SGD(net.parameters(), lr=options.lr)
for epoch in range(options.epochs):
    for rows in torch.randperm(len(points)).split(40):
        sgd.zero_grad()
        loss = F.cross_entropy(net(points[rows]), labels[rows])
        loss.backward()
        sgd.step()
    with torch.no_grad():
        right = net(held_out).argmax(1) == held_out_labels
    print(f"[{epoch}] loss: {loss.item():.3f} test_acc: {right.float().mean():.3f}")
