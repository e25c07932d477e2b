"""Writes down a melody that is hummed: notes of any length, as many as there are."""

import torch

torch.manual_seed(4)
NOTES, FRAMES, SILENCE = 7, 60, 7
PITCH = torch.randn(NOTES, 6)


def hummed(count):
    sound, melodies = 0.3 * torch.randn(count, FRAMES, 6), []
    for frames in sound:
        melody, frame = [], 2
        while frame < FRAMES - 12:
            note, length = int(torch.randint(NOTES, ())), int(torch.randint(4, 9, ()))
            frames[frame : frame + length] += PITCH[note]
            melody.append(note)
            frame += length + int(torch.randint(1, 5, ()))
        melodies.append(torch.tensor(melody))
    return sound, melodies


class Ear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hear = torch.nn.GRU(6, 40, batch_first=True, bidirectional=True)
        self.note = torch.nn.Linear(80, NOTES + 1)

    def forward(self, sound):
        return self.note(self.hear(sound)[0]).log_softmax(-1)


def written(ear, sound):
    for row in ear(sound).argmax(-1):
        kept = torch.unique_consecutive(row)
        yield kept[kept != SILENCE]


sound, melodies = hummed(600)
new, new_melodies = hummed(150)
ear = Ear()
adam = torch.optim.Adam(ear.parameters(), lr=1e-2)
for epoch in range(10):
    for rows in torch.randperm(len(sound)).split(25):
        wanted = [melodies[row] for row in rows]
        loss = torch.nn.functional.ctc_loss(
            ear(sound[rows]).transpose(0, 1),
            torch.cat(wanted),
            torch.full((len(rows),), FRAMES),
            torch.tensor([len(melody) for melody in wanted]),
            zero_infinity=True,
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        pairs = zip(written(ear, new), new_melodies, strict=True)
        right = sum(torch.equal(one, other) for one, other in pairs)
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {right / len(new):.3f}")
