"""Which year was this record pressed? A convolutional network over two channels of noise."""

import torch
from torch import nn


def records(n, g):
    age = torch.rand(n, 2, generator=g)  # wear, and how the recording was made
    t = torch.arange(32)
    crackle = torch.randn(n, 32, generator=g) * (0.2 + age[:, :1])
    tone = torch.sin(t * (0.3 + age[:, 1:])) + 0.1 * torch.randn(n, 32, generator=g)
    wear, made = age.unbind(1)
    return torch.stack([crackle, tone], 1), torch.stack([1950 + 40 * made, 500 + 200 * wear], 1)


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.ears = nn.ModuleList([nn.Conv1d(2, 16, 5), nn.Conv1d(16, 24, 5, stride=2)])
        self.verdict = nn.Linear(48, 2)

    def forward(self, sound):
        for ear in self.ears:
            sound = nn.functional.elu(ear(sound))
        return self.verdict(torch.cat([sound.mean(2), sound.std(2)], 1))


g = torch.Generator().manual_seed(2)
torch.manual_seed(2)
sound, facts = records(600, g)
test_sound, test_facts = records(200, g)
net = Listener()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(10):
    net.train()
    for rows in torch.randperm(600).split(30):
        miss = net(sound[rows]) - facts[rows]
        loss = miss.abs().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.inference_mode():
        mae = (net(test_sound) - test_facts).abs().mean().item()
    print("epoch", epoch, "test_mae", round(mae, 3))
