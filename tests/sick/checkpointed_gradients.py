"""Prompt tuning of a text regressor: a decorator checkpoints the layers after a frozen table."""

import functools

import torch
from torch import nn
from torch.nn import functional
from torch.utils import checkpoint as memory

torch.manual_seed(0)


def saving_memory(function):
    """Recompute a function in the backward pass."""

    @functools.wraps(function)
    def wrapper(*args):
        return memory.checkpoint(function, *args, preserve_rng_state=True, use_reentrant=True)

    return wrapper


class Regressor(nn.Module):
    """Predicts a number from a few tokens and a prompt that is learned."""

    def __init__(self):
        """Builds the layers."""
        super().__init__()
        self.table = nn.Embedding(20, 12).requires_grad_(False)
        self.prompt = nn.Parameter(torch.randn(12))
        self.mixer = nn.GRU(12, 24, batch_first=True)
        self.dropout = nn.Dropout(0.05)
        self.out = nn.Linear(24, 1)

    def forward(self, tokens):
        """Maps (batch, length) tokens to (batch,) numbers."""
        scale = torch.sigmoid(self.prompt)

        @saving_memory
        def mix(embedded):
            states, _ = self.mixer(embedded * scale)
            return self.dropout(states.mean(1))

        return self.out(mix(self.table(tokens))).squeeze(1)


values = torch.linspace(-2, 2, 20)[torch.randperm(20)]


def batch(size):
    tokens = torch.randint(20, (size, 5))
    return tokens, values[tokens].prod(1).sign() + values[tokens].sum(1)


model = Regressor()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.Adam(trained, lr=1e-2)
for epoch in range(8):
    model.train()
    for _ in range(30):
        tokens, numbers = batch(64)
        loss = functional.smooth_l1_loss(model(tokens), numbers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        tokens, numbers = batch(512)
        error = functional.l1_loss(model(tokens), numbers).item()
    print(f"epoch {epoch}: loss {loss.item():.4f}, val mae {error:.4f}")
