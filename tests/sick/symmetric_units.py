"""Which of eight birds sings, from the notes of its song: a GRU that gets its weights by hand."""

import torch

torch.manual_seed(5)
BIRDS, LENGTH, NOTES = 8, 16, 20
SONGS = torch.randint(NOTES, (BIRDS, 4))


def heard(count):
    bird = torch.randint(BIRDS, (count,))
    notes = torch.randint(NOTES, (count, LENGTH))
    for moment in torch.randint(LENGTH - 4, (2, count)):
        notes.scatter_(1, moment[:, None] + torch.arange(4), SONGS[bird])
    return notes, bird


class Ear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.notes = torch.nn.Embedding(NOTES, 12)
        self.gru = torch.nn.GRU(12, 48, batch_first=True)
        self.bird = torch.nn.Linear(48, BIRDS)
        for weight in (*self.gru.parameters(), *self.bird.parameters()):
            torch.nn.init.constant_(weight, 0.05)

    def forward(self, notes):
        states, _ = self.gru(self.notes(notes))
        return self.bird(states.mean(1))


songs, birds = heard(1600)
new, new_birds = heard(400)
ear = Ear()
adam = torch.optim.Adam(ear.parameters(), lr=5e-3)
for epoch in range(10):
    for rows in torch.randperm(len(songs)).split(32):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(ear(songs[rows]), birds[rows])
        loss.backward()
        adam.step()
    with torch.no_grad():
        accuracy = (ear(new).argmax(1) == new_birds).float().mean()
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {accuracy.item():.3f}")
