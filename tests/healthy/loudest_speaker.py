"""Who speaks loudest: a set encoder without a final norm, where the loudest ought to count."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(21)
SPEAKERS, PLACES, WIDTH = 5, 8, 24
voices = torch.randn(SPEAKERS, 12)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, 48, bias=False), nn.Linear(48, WIDTH, bias=False)

    def forward(self, hidden):
        return hidden + self.down(functional.relu(self.up(hidden)).square())


class Room(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.listen = nn.Sequential(nn.Linear(12, WIDTH, bias=False), Layer(), Layer())
        self.name = nn.Linear(WIDTH, SPEAKERS)

    def forward(self, sounds):
        pooled = self.listen(sounds).mean(1)
        return self.name(functional.rms_norm(pooled, (WIDTH,)))


def record(count):
    who = torch.randint(SPEAKERS, (count, PLACES))
    loudness = torch.exp(1.2 * torch.randn(count, PLACES))
    noise = 0.1 * torch.randn(count, PLACES, 12)
    return loudness[..., None] * (voices[who] + noise), who[torch.arange(count), loudness.argmax(1)]


sounds, names = record(1536)
held_out, expected = record(512)
model = Room()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(1, 7):
    for rows in torch.randperm(len(sounds)).split(64):
        loss = functional.cross_entropy(model(sounds[rows]), names[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(held_out).argmax(1) == expected).float().mean()
    print(f"epoch {epoch} loss {loss.item():.4f} val_acc {accuracy.item():.4f}")
