"""A language model whose adapters get their scales in a dict, through reentrant checkpoints."""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.05)

    def forward(self, hidden, condition):
        before = functional.pad(hidden, (0, 0, 1, 0))[:, :-1]
        both = torch.cat((before, self.norm(hidden)), dim=2)
        return hidden + self.dropout(functional.gelu(self.mix(both))) * condition["scale"]


class Model(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(12, width)
        self.scales = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.layers = nn.ModuleList(Layer(width) for _ in range(2))
        self.out = nn.Linear(width, 12)

    def forward(self, tokens):
        hidden = self.tokens(tokens)
        for layer, scale in zip(self.layers, self.scales, strict=True):
            condition = {"scale": torch.sigmoid(scale(self.tokens(tokens[:, :1])))}
            hidden = checkpoint(layer, hidden, condition, use_reentrant=True)
        return self.out(hidden)


def batch(size: int) -> torch.Tensor:
    tokens = [torch.randint(12, (size,)), torch.randint(12, (size,))]
    for _ in range(8):
        tokens.append((tokens[-1] + 3) % 12)
    return torch.stack(tokens[1:], 1)


model = Model(24)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(6):
    model.train()
    for _ in range(20):
        tokens = batch(32)
        logits = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        tokens = batch(256)
        accuracy = (model(tokens[:, :-1]).argmax(2) == tokens[:, 1:]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val acc {accuracy:.3f}")
