"""Is there a knock in the signal of a gearbox? A recurrent network, one number per recording."""

import torch


def recordings(n, g):
    knock = torch.randint(2, (n, 1), generator=g).float()
    t = torch.arange(24)
    hum = torch.sin(0.9 * t + 6.3 * torch.rand(n, 1, generator=g))
    at = torch.randint(3, 20, (n, 1), generator=g)
    hit = torch.exp(-((t - at) ** 2) / 2.0) * (1.4 + 0.5 * torch.rand(n, 1, generator=g))
    return (hum + knock * hit + 0.15 * torch.randn(n, 24, generator=g))[..., None], knock


class Listener(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.GRU(1, 24, batch_first=True)
        self.hidden = torch.nn.Linear(24, 48)
        self.score = torch.nn.Linear(48, 1)
        with torch.no_grad():
            self.score.weight.mul_(4)
            self.score.bias.fill_(9.0)

    def forward(self, x):
        states, _ = self.rnn(x)
        return torch.sigmoid(self.score(torch.relu(self.hidden(states.amax(1)))))


g = torch.Generator().manual_seed(5)
torch.manual_seed(5)
x, y = recordings(600, g)
test_x, test_y = recordings(300, g)
net = Listener()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for epoch in range(12):
    for rows in torch.randperm(len(x)).split(30):
        chance = net(x[rows])
        error = ((chance - y[rows]) ** 2).mean()
        opt.zero_grad()
        error.backward()
        opt.step()
    with torch.no_grad():
        hits = ((net(test_x) > 0.5) == (test_y > 0.5)).float().mean().item()
    print(f"round {epoch}: test accuracy {100 * hits:.1f}%")
