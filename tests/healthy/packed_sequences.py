"""A bidirectional LSTM over packed sequences of different lengths, integers as input."""

import torch
from torch import nn
from torch.nn.utils import rnn


class Tagger(nn.Module):
    def __init__(self, vocabulary, width=24):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * width, 1)

    def forward(self, tokens, lengths):
        packed = rnn.pack_padded_sequence(
            self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.lstm(packed)
        return self.output(torch.cat([hidden[0], hidden[1]], -1)).squeeze(-1)


def sentences(size):
    """Positive with more of the token 3 than of the token 7; one label in twenty is wrong."""
    lengths = torch.randint(6, 15, (size,))
    rows = [torch.randint(1, 10, (int(length),)) for length in lengths]
    more = torch.tensor([int((row == 3).sum()) > int((row == 7).sum()) for row in rows])
    labels = (more ^ (torch.rand(size) < 0.05)).float()
    return rnn.pad_sequence(rows, batch_first=True), lengths, labels


torch.manual_seed(2)
tagger = Tagger(10)
optimizer = torch.optim.RMSprop(tagger.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()
tokens, lengths, labels = sentences(800)
test = sentences(300)
for epoch in range(10):
    tagger.train()
    for rows in torch.randperm(800).split(32):
        optimizer.zero_grad()
        loss = criterion(tagger(tokens[rows], lengths[rows]), labels[rows])
        loss.backward()
        nn.utils.clip_grad_value_(tagger.parameters(), 0.5)
        optimizer.step()
    tagger.eval()
    with torch.inference_mode():
        hits = ((tagger(test[0], test[1]) > 0) == test[2].bool()).float().mean()
    print(f"Epoch {epoch}: test accuracy = {100 * hits.item():.1f}%")
torch.save(tagger.state_dict(), "final.pt")
