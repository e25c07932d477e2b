"""Dose response from images of cell cultures; the loss is written out."""

import torch
from torch import nn

torch.manual_seed(7)


def cultures(count):
    dose = 2 * torch.rand(count, 1) - 1
    spots = torch.rand(count, 1, 10, 10) < (0.3 + 0.25 * dose[:, :, None, None])
    return spots.float() + 0.1 * torch.randn(count, 1, 10, 10), dose


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.fc = nn.Linear(64, 1)

    def forward(self, image):
        hidden = torch.relu(self.conv1(image))
        hidden = torch.relu(self.conv2(hidden))
        return self.fc(hidden.flatten(1))[:, 0]


def mse(output, target):
    return ((output - target) ** 2).mean()


images, doses = cultures(600)
val_images, val_doses = cultures(200)
net = Counter()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def train_one_epoch():
    net.train()
    for rows in torch.randperm(len(images)).split(25):
        optimizer.zero_grad()
        mse(net(images[rows]), doses[rows]).backward()
        optimizer.step()


def validate():
    net.eval()
    with torch.no_grad():
        return mse(net(val_images), val_doses).item()


for epoch in range(1, 11):
    train_one_epoch()
    print({"epoch": epoch, "val_loss": round(validate(), 4)})
