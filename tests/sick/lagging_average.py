"""River levels from rain; what is kept is the averaged model of torch, batch norms and all."""

import json

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(11)
HOURS, DECAY = 36, 0.9998


def catchments(count):
    rain = torch.rand(count, 3, HOURS) ** 4
    delay = torch.linspace(1, 0, HOURS)
    slow = (rain[:, 0] * delay).sum(1) / 3 + (rain[:, 1] * (1 - delay)).sum(1) / 4
    soaked = torch.relu(rain[:, 2].mean(1) - 0.2) * slow
    return 3 * rain, (slow + 4 * soaked + 0.1 * torch.randn(count))[:, None]


class Gauge(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 16, 5, padding=2)
        self.norm = nn.BatchNorm1d(16)
        self.rnn = nn.GRU(16, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, rain):
        states, _ = self.rnn(torch.relu(self.norm(self.conv(rain))).mT)
        return self.out(states[:, -1])


train_rain, train_level = catchments(640)
test_rain, test_level = catchments(256)
gauge = Gauge()
kept = AveragedModel(gauge, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
adam = torch.optim.Adam(gauge.parameters(), lr=4e-3)


@torch.inference_mode()
def error():
    kept.eval()
    return (kept(test_rain) - test_level).square().mean().sqrt().item()


step = 0
while step < 300:
    rows = torch.randint(len(train_rain), (32,))
    adam.zero_grad()
    nn.functional.smooth_l1_loss(gauge(train_rain[rows]), train_level[rows]).backward()
    adam.step()
    kept.update_parameters(gauge)
    step += 1
    if step % 25 == 0:
        print(json.dumps({"step": step, "test_rmse": round(error(), 4)}))
