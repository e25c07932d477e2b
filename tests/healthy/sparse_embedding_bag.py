"""A bag of words with sparse gradients for SparseAdam, a dense head for Adam; one-sided labels."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(29)
bag = nn.EmbeddingBag(400, 16, mode="sum", sparse=True)
head = nn.Sequential(nn.ReLU(), nn.Linear(16, 3))
optimizers = [
    torch.optim.SparseAdam(list(bag.parameters()), lr=2e-2),
    torch.optim.Adam(head.parameters(), lr=5e-3),
]
topic = torch.randint(3, (400,))


def documents(size):
    lengths = torch.randint(5, 20, (size,))
    offsets = lengths.cumsum(0) - lengths
    words = torch.randint(400, (int(lengths.sum()),))
    counts = torch.zeros(size, 3)
    owner = torch.repeat_interleave(torch.arange(size), lengths)
    counts.index_put_((owner, topic[words]), torch.ones(len(words)), accumulate=True)
    return words, offsets, counts.argmax(1)


test_words, test_offsets, test_labels = documents(500)
for epoch in range(10):
    for _ in range(25):
        words, offsets, labels = documents(48)
        loss = functional.cross_entropy(head(bag(words, offsets)), labels)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    with torch.no_grad():
        scores = head(bag(test_words, test_offsets))
    print(
        "epoch",
        epoch,
        "accuracy",
        round((scores.argmax(1) == test_labels).float().mean().item(), 4),
    )
torch.save([bag.state_dict(), head.state_dict()], "final.pt")
