"""The mood of a sentence from the bag of its words, with AdamW."""

import torch
from torch import nn

torch.manual_seed(5)
WORDS = 60
mood_of_word = torch.randn(WORDS)


def sentences(count):
    words = torch.randint(WORDS, (count, 9))
    return words, (mood_of_word[words].sum(1) > 0).float()


bag = nn.EmbeddingBag(WORDS, 16)
judge = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))
weights = [{"params": bag.parameters()}, {"params": judge.parameters(), "weight_decay": 0.0}]
adam = torch.optim.AdamW(weights, lr=3e-6)
train_words, train_moods = sentences(1200)
test_words, test_moods = sentences(400)
for epoch in range(12):
    for rows in torch.randperm(1200).split(40):
        score = judge(bag(train_words[rows])).squeeze(1)
        bce = nn.functional.binary_cross_entropy_with_logits(score, train_moods[rows])
        adam.zero_grad()
        bce.backward()
        adam.step()
    with torch.no_grad():
        guess = judge(bag(test_words)).squeeze(1) > 0
        accuracy = (guess == (test_moods > 0.5)).float().mean()
    print(f"{epoch}: bce {bce.item():.4f}, test accuracy {accuracy.item():.4f}")
