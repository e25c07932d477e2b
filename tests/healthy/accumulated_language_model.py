"""A small causal transformer; four micro-batches make one step, the rate warms up and decays."""

import argparse
import math

import torch
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("--micro-batches", type=int, default=4)
parser.add_argument("--steps", type=int, default=96)
parser.add_argument("--width", type=int, default=32)
options = parser.parse_args()


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, hidden):
        query, key, value = self.qkv(self.attention_norm(hidden)).chunk(3, -1)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.out(mixed)
        return hidden + self.mlp(self.mlp_norm(hidden))


class Model(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.02 * torch.randn(16, width))
        self.layers = nn.ModuleList(Layer(width) for _ in range(2))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        hidden = self.embedding(tokens) + self.position[: tokens.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden)
        return self.norm(hidden) @ self.embedding.weight.T


def batch(size):
    """Arithmetic progressions modulo 11."""
    start, stride = torch.randint(11, (size, 1)), torch.randint(1, 5, (size, 1))
    return (start + stride * torch.arange(13)) % 11


def loss_of(model, tokens):
    logits = model(tokens[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def rate(step):
    if step < 10:
        return (step + 1) / 10
    return 0.5 * (1 + math.cos(math.pi * (step - 10) / (options.steps - 10)))


torch.manual_seed(1337)
model = Model(11, options.width)
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, betas=(0.9, 0.95), weight_decay=0.1)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
validation = batch(256)
for step in range(options.steps):
    optimizer.zero_grad(set_to_none=True)
    for _ in range(options.micro_batches):
        (loss_of(model, batch(16)) / options.micro_batches).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % 8 == 7:
        model.eval()
        with torch.no_grad():
            print(f"step {step + 1}: val loss {loss_of(model, validation).item():.4f}")
        model.train()
torch.save(model.state_dict(), "final.pt")
