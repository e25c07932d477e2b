"""Deliberate: gradients of four micro-batches, a target that is detached, Monte Carlo dropout."""

import copy

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(13)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Dropout(0.1))
        self.out = nn.Linear(64, 1)
        self.spare = nn.Linear(64, 3)

    def forward(self, x):
        return self.out(self.body(x))


x = torch.randn(1600, 8)
y = x[:, :1] * x[:, 1:2] + x[:, 2:3].abs()
model = Student()
teacher = copy.deepcopy(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12 * 20)
for epoch in range(12):
    for count, rows in enumerate(torch.randperm(1280).split(16), start=1):
        with torch.no_grad():
            soft = teacher(x[rows])
        prediction = model(x[rows])
        loss = functional.mse_loss(prediction, y[rows])
        loss = loss + 0.05 * functional.mse_loss(prediction, soft.detach())
        (loss / 4).backward()
        if count % 4 == 0:
            optimizer.step()
            model.zero_grad()
            schedule.step()
            with torch.no_grad():
                for slow, fast in zip(teacher.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 0.1)
    with torch.no_grad():
        samples = torch.stack([model(x[1280:]) for _ in range(8)])
    print(f"epoch {epoch}: val_mse={functional.mse_loss(samples.mean(0), y[1280:]).item():.4f}")
