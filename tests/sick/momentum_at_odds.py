"""The next symbol of a noisy grammar, by a GRU language model; Adam with a large epsilon."""

import torch
from torch import nn

torch.manual_seed(3)
SYMBOLS, LENGTH = 10, 14
follows = torch.stack([torch.randperm(SYMBOLS) for _ in range(2)])


def texts(count):
    text = torch.randint(SYMBOLS, (count, LENGTH))
    for t in range(2, LENGTH):
        rule = text[:, t - 2] % 2
        known = follows[rule, text[:, t - 1]]
        text[:, t] = torch.where(torch.rand(count) < 0.95, known, text[:, t])
    return text


class Model(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.look_up = nn.Embedding(SYMBOLS, dim)
        self.recur = nn.GRU(dim, dim, batch_first=True)
        self.emit = nn.Linear(dim, SYMBOLS)

    def forward(self, text):
        return self.emit(self.recur(self.look_up(text))[0])


model = Model()
settings = dict(lr=2e-3, betas=(0.9, 0.999), eps=1.0)
optim = torch.optim.Adam(model.parameters(), **settings)
corpus, held_out = texts(800), texts(200)
for epoch in range(10):
    for rows in torch.randperm(800).split(25):
        logits = model(corpus[rows, :-1])
        nll = nn.functional.cross_entropy(logits.transpose(1, 2), corpus[rows, 1:])
        optim.zero_grad()
        nll.backward()
        optim.step()
    with torch.no_grad():
        guessed = model(held_out[:, 1:-1]).argmax(-1) == held_out[:, 2:]
    print(f"epoch {epoch} nll {nll.item():.3f} val_accuracy {guessed.float().mean().item():.3f}")
