"""Odours from an array of sensors; samples and labels come from loaders of their own."""

from torch import Generator, cat, manual_seed, nn, no_grad, optim, randint, randn
from torch.utils.data import DataLoader

manual_seed(5)
source = Generator().manual_seed(5)
prototypes = randn(3, 20, generator=source)


def sniff(amount):
    kind = randint(3, (amount,), generator=source)
    return prototypes[kind] + 1.2 * randn(amount, 20, generator=source), kind


samples, odours = sniff(600)
test_samples, test_odours = sniff(300)
sample_loader = DataLoader(samples, batch_size=30, shuffle=True)
odour_loader = DataLoader(odours, batch_size=30, shuffle=True)


class Nose(nn.Module):
    def __init__(self):
        super().__init__()
        self.glands = nn.ModuleList([nn.Linear(20, 24), nn.Linear(24, 24)])
        self.norm = nn.BatchNorm1d(24)
        self.decide = nn.Linear(24, 3)

    def forward(self, sample):
        for gland in self.glands:
            sample = gland(sample).tanh()
        return self.decide(self.norm(sample)).log_softmax(-1)


nose = Nose()
rule = optim.SGD(nose.parameters(), lr=0.05, momentum=0.9, nesterov=True)
judge = nn.NLLLoss()
for epoch in range(10):
    nose.train()
    for sample, odour in zip(sample_loader, odour_loader, strict=True):
        rule.zero_grad()
        loss = judge(nose(sample), odour)
        loss.backward()
        rule.step()
    nose.eval()
    with no_grad():
        found = cat([nose(part).argmax(-1) for part in test_samples.split(100)])
    print(f"{epoch}: test accuracy {(found == test_odours).float().mean().item():.3f}")
