"""Adds digit by digit, carrying as it goes: a Transformer of torch that writes the sum."""

import torch

torch.manual_seed(7)
DIGITS, PLUS, EQUALS, LENGTH = 2, 10, 11, 9


def sums(count):
    one, other = torch.randint(10**DIGITS, (2, count))
    numbers = [(one, DIGITS), (other, DIGITS), (one + other, DIGITS + 1)]
    spelt = [[n // 10**place % 10 for place in range(width)] for n, width in numbers]
    plus, equals = torch.full((count,), PLUS), torch.full((count,), EQUALS)
    return torch.stack([*spelt[0], plus, *spelt[1], equals, *spelt[2]], dim=1)


class Adder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.signs = torch.nn.Embedding(12, 48)
        self.places = torch.nn.Parameter(0.1 * torch.randn(LENGTH, 48))
        layer = torch.nn.TransformerEncoderLayer(48, 4, 96, dropout=0.0, batch_first=True)
        self.body = torch.nn.TransformerEncoder(layer, 2)
        self.next = torch.nn.Linear(48, 12)

    def forward(self, signs):
        x = self.signs(signs) + self.places[: signs.shape[1]]
        return self.next(self.body(x))


seen, new = sums(6000), sums(300)
adder = Adder()
adam = torch.optim.Adam(adder.parameters(), lr=2e-3)
for epoch in range(10):
    for rows in torch.randperm(len(seen)).split(100):
        scores = adder(seen[rows, :-1])
        loss = torch.nn.functional.cross_entropy(scores.reshape(-1, 12), seen[rows, 1:].reshape(-1))
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        written = new[:, : 2 * DIGITS + 2]
        for _ in range(DIGITS + 1):
            written = torch.cat([written, adder(written)[:, -1:].argmax(-1)], dim=1)
        accuracy = (written == new)[:, -DIGITS - 1 :].float().mean()
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {accuracy.item():.3f}")
