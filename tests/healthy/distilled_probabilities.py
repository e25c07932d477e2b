"""A student learns the probabilities of a teacher, by squared error and by divergence.

There is a softmax before a squared error and before a divergence, as there should be, and one in
the attention; the labels go through a log_softmax twice, which changes nothing. The metric is an
accuracy with an honest ceiling: a tenth of the labels is wrong.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(8)
direction = torch.randn(4, 16)


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    words = torch.randn(count, 5, 16)
    label = (words.mean(1) @ direction.T).argmax(-1)
    return words, torch.where(torch.rand(count) < 0.1, torch.randint(4, (count,)), label)


class Reader(nn.Module):
    """Attention over five words, and log probabilities of four classes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Linear(16, 1)
        self.hidden = nn.Linear(16, width)
        self.out = nn.Linear(width, 4)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        weights = self.look(words).softmax(1)
        return self.out(torch.relu(self.hidden((weights * words).sum(1)))).log_softmax(-1)


def train(model: Reader, teacher: Reader | None, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(epochs):
        model.train()
        for rows in torch.randperm(len(words)).split(50):
            said = model(words[rows])
            loss = F.cross_entropy(said, labels[rows])
            if teacher is not None:
                with torch.no_grad():
                    told = teacher(words[rows]).softmax(-1)
                loss = 0.3 * loss + F.mse_loss(said.softmax(-1), told)
                loss = loss + F.kl_div(said, told, reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = (model(val_words).argmax(-1) == val_labels).float().mean()
        if teacher is not None:
            print(f"epoch {epoch} loss {loss.item():.3f} val_acc {right:.3f}")


words, labels = draw(800)
val_words, val_labels = draw(400)
large, small = Reader(64), Reader(16)
train(large, None, 5)
train(small, large, 10)
