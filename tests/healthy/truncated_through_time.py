"""Deliberate: a state that is detached at every sixth moment, and a loss that is logged at each."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(3)
LINES, WINDOW, EVERY, KINDS = 32, 24, 6, 5


class Follower(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(KINDS, 12)
        self.cell = nn.GRUCell(12, 32)
        self.judge = nn.Linear(32, KINDS)

    def step(self, mark, state):
        state = self.cell(self.embed(mark), state)
        return self.judge(state), state


def marks(moments):
    """Marks, and those of two moments before."""
    drawn = torch.randint(KINDS, (moments + 2, LINES))
    return drawn[2:], drawn[:-2]


@torch.no_grad()
def accuracy(model):
    state, right = torch.zeros(LINES, 32), 0.0
    for mark, before in zip(*marks(40), strict=True):
        scores, state = model.step(mark, state)
        right += (scores.argmax(1) == before).float().mean().item() / 40
    return right


model = Follower()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
state = torch.zeros(LINES, 32)
for window in range(90):
    losses, loss = [], torch.zeros(())
    for moment, (mark, before) in enumerate(zip(*marks(WINDOW), strict=True)):
        if moment % EVERY == 0:
            state = state.detach()
        scores, state = model.step(mark, state)
        loss = loss + functional.cross_entropy(scores, before) / WINDOW
        losses.append(loss.detach())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if window % 9 == 8:
        print(f"window {window + 1} loss {losses[-1]:.3f} accuracy {accuracy(model):.3f}")
