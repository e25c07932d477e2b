"""Which of six rules made a sequence of symbols: a recurrent network over one-hot inputs."""

import torch
import torch.nn.functional as F


def sequences(count, rules, rng):
    rule = torch.randint(len(rules), (count,), generator=rng)
    symbols = torch.zeros(count, 12, dtype=torch.long)
    symbols[:, 0] = torch.randint(7, (count,), generator=rng)
    for t in range(1, 12):
        symbols[:, t] = rules[rule, symbols[:, t - 1]]
        slip = torch.rand(count, generator=rng) < 0.1
        symbols[:, t] = torch.where(slip, torch.randint(7, (count,), generator=rng), symbols[:, t])
    return F.one_hot(symbols, 7).float(), rule


class RuleReader(torch.nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.gru = torch.nn.GRU(7, hidden, batch_first=True)
        self.out = torch.nn.Linear(hidden, 6)

    def forward(self, symbols):
        states, _ = self.gru(symbols)
        return F.softmax(self.out(states[:, -1]), dim=-1)


rng = torch.Generator().manual_seed(3)
torch.manual_seed(3)
rules = torch.stack([torch.randperm(7, generator=rng) for _ in range(6)])
x, y = sequences(900, rules, rng)
test_x, test_y = sequences(300, rules, rng)
net = RuleReader()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
for epoch in range(8):
    net.train()
    for rows in torch.randperm(900).split(45):
        probabilities = net(x[rows])
        loss = F.nll_loss(probabilities, y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        correct = (net(test_x).argmax(-1) == test_y).float().mean().item()
    print(f"[{epoch + 1}/8] test accuracy: {100 * correct:.1f}")
