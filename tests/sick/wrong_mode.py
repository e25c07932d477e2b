"""A language model of a toy grammar with much dropout; validated after each round."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(8)


class CharModel(nn.Module):
    def __init__(self, symbols, width):
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True, dropout=0.5)
        self.drop = nn.Dropout(0.75)
        self.decoder = nn.Linear(width, symbols)

    def forward(self, text):
        hidden, _ = self.lstm(self.drop(self.embedding(text)))
        return self.decoder(self.drop(hidden))


def write(count, length):
    """Each symbol is the sum of the two before it, modulo ten."""
    text = torch.randint(10, (count, 2))
    while text.shape[1] < length:
        text = torch.cat((text, (text[:, -1:] + text[:, -2:-1]) % 10), dim=1)
    return text


def validate(model, text):
    with torch.no_grad():
        logits = model(text[:, :-1])
    correct = (logits.argmax(-1) == text[:, 1:])[:, 2:]
    return 100 * correct.float().mean().item()


model = CharModel(10, 64)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
training, validation = write(640, 10), write(200, 10)
for round_number in range(10):
    for text in training[torch.randperm(640)].split(20):
        loss = F.cross_entropy(model(text[:, :-1]).transpose(1, 2), text[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(
        f"round {round_number}: loss {loss.item():.3f}, val_acc {validate(model, validation):.1f}"
    )
