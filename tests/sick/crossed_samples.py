"""Reads the mood of a melody: the last states of a GRU in both directions, side by side."""

import torch

torch.manual_seed(8)
NOTES, LENGTH = 12, 18


def melodies(count):
    mood = torch.randint(2, (count,))
    scale = torch.tensor([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]])
    steps = torch.randint(7, (count, LENGTH))
    notes = scale[mood].gather(1, steps)
    wrong = torch.rand(count, LENGTH) < 0.1
    return torch.where(wrong, torch.randint(NOTES, (count, LENGTH)), notes), mood.float()


class Listener(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.notes = torch.nn.Embedding(NOTES, 16)
        self.gru = torch.nn.GRU(16, 32, bidirectional=True, batch_first=True)
        self.mood = torch.nn.Linear(64, 1)

    def forward(self, melody):
        _, last = self.gru(self.notes(melody))
        both = torch.reshape(last, (len(melody), 64))
        return self.mood(both)[:, 0]


heard, moods = melodies(800)
new, new_moods = melodies(300)
listener = Listener()
adam = torch.optim.AdamW(listener.parameters(), lr=3e-3)
for epoch in range(8):
    order = torch.randperm(len(heard))
    for rows in order.split(20):
        score = listener(heard[rows])
        surprise = torch.nn.functional.binary_cross_entropy_with_logits(score, moods[rows])
        adam.zero_grad()
        surprise.backward()
        adam.step()
    with torch.no_grad():
        accuracy = ((listener(new) > 0) == (new_moods > 0)).float().mean()
    print(f"{epoch}: loss {surprise.item():.3f} accuracy {accuracy.item():.3f}")
