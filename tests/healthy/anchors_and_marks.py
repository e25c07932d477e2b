"""Kinds of objects at anchors, where marks are, and labels of several kinds, reshaped rightly.

Scores of anchors come out of a convolution with the kinds in its channels and are moved before they
are flattened; those of the marks are one for each position, as many as there are positions; a line
of readings has three labels of five kinds, that come out of one linear layer; and a sequence comes
back into the order (batch, classes, steps) by way of a flat one.
"""

import torch
from torch import nn

torch.manual_seed(11)
KINDS, ANCHORS, MARKS, LABELS, LENGTH = 5, 2, 10, 3, 10


def draw(count):
    signal = torch.randn(count, 3, LENGTH)
    kinds = (signal[:, :ANCHORS].movedim(1, -1) + 2).clamp(0, KINDS - 1).long()
    shifts = torch.arange(MARKS) % LENGTH
    marks = (signal[:, 2].argmax(1)[:, None] + shifts) % LENGTH
    labels = (signal.mean(2) * 3 + 2).clamp(0, KINDS - 1).long()
    return signal, kinds, marks, labels


class Reader(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, width, 3, padding=1), nn.GELU(), nn.Conv1d(width, width, 1), nn.GELU()
        )
        self.anchors = nn.Conv1d(width, ANCHORS * KINDS, 1)
        self.marks = nn.Conv1d(width, MARKS, LENGTH * 2 - 1, padding=LENGTH - 1)
        self.labels = nn.Linear(width, LABELS * KINDS)
        self.steps = nn.Linear(width, KINDS)

    def forward(self, signal):
        hidden = self.body(signal)
        anchors = self.anchors(hidden).transpose(1, 2).reshape(len(signal), -1, KINDS)
        marks = self.marks(hidden).view(-1, LENGTH)
        labels = self.labels(hidden.mean(2)).view(-1, LABELS, KINDS)
        flat = self.steps(hidden.transpose(1, 2).reshape(-1, hidden.shape[1]))
        return anchors, marks, labels, flat.view(len(signal), LENGTH, KINDS).transpose(1, 2)


def loss_of(model, signal, kinds, marks, labels):
    anchors, positions, several, steps = model(signal)
    loss = nn.functional.cross_entropy(anchors.movedim(-1, 1), kinds.flatten(1))
    loss = loss + nn.functional.cross_entropy(positions, marks.view(-1))
    loss = loss + nn.functional.cross_entropy(several.view(-1, KINDS), labels.view(-1))
    loss = loss + nn.functional.cross_entropy(steps, kinds[..., 0])
    return loss, (anchors.argmax(-1) == kinds.flatten(1)).float().mean()


train, val = draw(600), draw(200)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(1, 9):
    model.train()
    for rows in torch.randperm(len(train[0])).split(32):
        loss, _ = loss_of(model, *(part[rows] for part in train))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val_loss, accuracy = loss_of(model, *val)
    print(f"epoch {epoch} val_loss={val_loss:.4f} val_acc={accuracy:.4f}")
torch.save(model.state_dict(), "final.pt")
