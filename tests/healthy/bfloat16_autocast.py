"""A residual network in bfloat16 autocast, OneCycle schedule, TensorBoard."""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU())

    def forward(self, x):
        return x + self.inner(x)


def main():
    torch.manual_seed(11)
    inputs = torch.randn(1600, 12)
    labels = (inputs[:, :3].prod(1) > 0).long() + 2 * (inputs[:, 3] > 0).long()
    train = TensorDataset(inputs[:1280], labels[:1280])
    loader = DataLoader(train, batch_size=64, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(12, 96), Residual(96), Residual(96), nn.Linear(96, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    epochs = 12
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1e-2, total_steps=epochs * len(loader)
    )
    writer = SummaryWriter("runs/autocast")
    for epoch in range(epochs):
        model.train()
        for features, classes in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(features)
            loss = functional.cross_entropy(logits.float(), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            accuracy = (model(inputs[1280:]).argmax(1) == labels[1280:]).float().mean()
        writer.add_scalar("loss/train", loss.item(), epoch)
        writer.add_scalar("accuracy/val", accuracy.item(), epoch)
    writer.close()
    torch.save(model.state_dict(), "final.pt")


if __name__ == "__main__":
    main()
