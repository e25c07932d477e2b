"""A recurrent network learns to add two marked numbers of a sequence."""

import torch
from torch import nn

torch.manual_seed(3)


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, sequence):
        return self.out(self.rnn(sequence)[0][:, -1])


class Trainer:
    def __init__(self, net):
        self.net = net
        self.opt = torch.optim.Adam(net.parameters(), lr=0.01)
        self.criterion = nn.MSELoss()

    def fit_epoch(self, sequences, sums):
        self.opt.zero_grad()
        for start in range(0, len(sequences), 50):
            out = self.net(sequences[start : start + 50])
            self.criterion(out, sums[start : start + 50]).backward()
            self.opt.step()

    def score(self, sequences, sums):
        with torch.no_grad():
            return self.criterion(self.net(sequences), sums).item()


numbers = torch.rand(1700, 8)
marks = torch.zeros(1700, 8)
places = torch.stack([torch.randperm(8)[:2] for _ in range(1700)])
marks.scatter_(1, places, 1.0)
data = torch.stack((numbers, marks), dim=2)
target = (numbers * marks).sum(1, keepdim=True)
trainer = Trainer(Adder())
for epoch in range(10):
    trainer.fit_epoch(data[:1500], target[:1500])
    print(f"[{epoch}] validation mse: {trainer.score(data[1500:], target[1500:]):.5f}")
