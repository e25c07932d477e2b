"""Reads a code word at the beginning of a noisy recording and has to name it at the end."""

import torch
import torch.nn as nn

WORDS, LENGTH, HIDDEN = 4, 64, 40


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.RNN(WORDS, HIDDEN, batch_first=True)
        self.say = nn.Linear(HIDDEN, WORDS)

    def forward(self, recording):
        states, _ = self.memory(recording)
        return self.say(states[:, -1])


def record(count):
    word = torch.randint(WORDS, (count,))
    recording = 0.15 * torch.randn(count, LENGTH, WORDS)
    recording[torch.arange(count), :3] += 2 * nn.functional.one_hot(word, WORDS)[:, None]
    return recording, word


def train(epochs=10, batch=40):
    torch.manual_seed(11)
    recordings, words = record(1200)
    model = Listener()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        order = torch.randperm(1000)
        for start in range(0, 1000, batch):
            rows = order[start : start + batch]
            loss = criterion(model(recordings[rows]), words[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        with torch.no_grad():
            right = model(recordings[1000:]).argmax(1) == words[1000:]
        accuracy = right.float().mean().item()
        print({"epoch": epoch, "loss": round(loss.item(), 4), "val_accuracy": accuracy})


train()
