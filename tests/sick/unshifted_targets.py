"""Writes the other half of a palindrome: an encoder reads the first, a decoder is taught."""

import torch

torch.manual_seed(6)
LETTERS, HALF, BEGIN = 9, 5, 9


def halves(count):
    first = torch.randint(LETTERS, (count, HALF))
    return first, torch.cat([torch.full((count, 1), BEGIN), first.flip(1)], dim=1)


class Mirror(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = torch.nn.Embedding(LETTERS + 1, 24)
        self.reader = torch.nn.GRU(24, 64, batch_first=True)
        self.writer = torch.nn.GRU(24, 64, batch_first=True)
        self.letter = torch.nn.Linear(64, LETTERS + 1)

    def forward(self, first, written):
        _, state = self.reader(self.letters(first))
        return self.letter(self.writer(self.letters(written), state)[0])


first, second = halves(2400)
new, new_second = halves(300)
mirror = Mirror()
adam = torch.optim.Adam(mirror.parameters(), lr=5e-3)
criterion = torch.nn.CrossEntropyLoss()
for epoch in range(12):
    for rows in torch.randperm(len(first)).split(40):
        adam.zero_grad()
        scores = mirror(first[rows], second[rows])
        loss = criterion(scores.view(-1, LETTERS + 1), second[rows].view(-1))
        loss.backward()
        adam.step()
    with torch.no_grad():
        written = new_second[:, :1]
        for _ in range(HALF):
            written = torch.cat([written, mirror(new, written)[:, -1:].argmax(-1)], dim=1)
        accuracy = (written == new_second)[:, 1:].float().mean()
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {accuracy.item():.3f}")
