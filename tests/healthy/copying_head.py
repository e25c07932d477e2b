"""A head that copies what stands at the place that is asked for: one-hot attention, rightly so."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(3)
PLACES, SYMBOLS, WIDTH = 8, 5, 32


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    symbols = torch.randint(SYMBOLS, (count, PLACES))
    asked = torch.randint(PLACES, (count,))
    return symbols, asked, symbols.gather(1, asked[:, None])[:, 0]


class Copier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Embedding(PLACES, WIDTH)
        nn.init.zeros_(self.query.weight)
        self.keys = nn.Parameter(torch.randn(PLACES, WIDTH))
        self.symbol = nn.Embedding(SYMBOLS, WIDTH)
        self.out = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, symbols: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        scores = self.query(asked) @ self.keys.T
        weights = torch.softmax(scores, -1).unsqueeze(1)
        return self.out((weights @ self.symbol(symbols)).squeeze(1))


model = Copier()
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
train, test = draw(1024), draw(400)
for epoch in range(10):
    for rows in torch.randperm(1024).split(64):
        symbols, asked, answer = (each[rows] for each in train)
        loss = F.cross_entropy(model(symbols, asked), answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(test[0], test[1]).argmax(1) == test[2]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} test_acc {right:.4f}")
