"""Binary codes by an autograd function of its own that passes gradients straight through."""

import torch
from torch import nn


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(context, values):
        context.save_for_backward(values)
        return values.sign()

    @staticmethod
    def backward(context, gradient):
        (values,) = context.saved_tensors
        return gradient * (values.abs() < 1)


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 12))
        self.decode = nn.Linear(12, 16)

    def forward(self, inputs):
        return self.decode(Sign.apply(self.encode(inputs)))


torch.manual_seed(13)
mixing = torch.randn(4, 16)
inputs = torch.randn(1000, 4).sign() @ mixing + 0.1 * torch.randn(1000, 16)
coder = Coder()
optimizer = torch.optim.Adam(coder.parameters(), lr=3e-3)
for epoch in range(1, 16):
    total = 0.0
    for rows in torch.randperm(800).split(40):
        loss = nn.functional.mse_loss(coder(inputs[rows]), inputs[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
    with torch.no_grad():
        error = nn.functional.mse_loss(coder(inputs[800:]), inputs[800:]).item()
    print({"epoch": epoch, "train_loss": round(total, 5), "val_loss": round(error, 5)})
torch.save(coder.state_dict(), "final.pt")
