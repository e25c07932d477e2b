"""Forecasts the next hour of a load curve with an LSTM; the loss is a mean absolute error."""

import torch
from torch import nn


def curves(n, seed):
    rng = torch.Generator().manual_seed(seed)
    day = 6.28 * torch.rand(n, 1, generator=rng)
    pace = 0.25 + 0.3 * torch.rand(n, 1, generator=rng)
    hours = torch.arange(25)[None, :]
    load = 50 + 12 * torch.sin(pace * hours + day) + 4 * torch.sin(2 * pace * hours)
    load = load + torch.randn(n, 25, generator=rng)
    return load[:, :24, None], load[:, 24:]


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.readout = nn.Linear(32, 1)

    def forward(self, history):
        return self.readout(self.lstm(history)[0][:, -1])


torch.manual_seed(1)
past, future = curves(640, 0)
val_past, val_future = curves(200, 1)
centre, width = past.mean(), past.std()
past = (past - centre) / width
future, val_future = (future - centre) / width, (val_future - centre) / width
model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.L1Loss()
for epoch in range(1, 11):
    model.train()
    for batch in torch.randperm(640).split(32):
        optimizer.zero_grad()
        criterion(model(past[batch]), future[batch]).backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        print(f"{epoch:2d} val_mae={criterion(model(val_past), val_future).item():.4f}")
