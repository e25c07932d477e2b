"""Tags from a sparse code: sparsity pulls against the rest, as it is meant to."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(22)
atoms = functional.normalize(torch.randn(16, 32), dim=1)


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    tag = torch.randint(16, (size,))
    strength = 1 + torch.rand(size, 1)
    others = 0.5 * torch.relu(torch.randn(size, 16) - 1.5) @ atoms
    return strength * atoms[tag] + others + 0.25 * torch.randn(size, 32), tag


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(32, 24)
        self.decoder = nn.Linear(24, 32, bias=False)
        self.tag = nn.Linear(24, 16)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        code = torch.relu(self.encoder(x))
        return code, self.decoder(code), self.tag(code)


tagger = Tagger()
optimizer = torch.optim.Adam(tagger.parameters(), lr=3e-3)
for step in range(1, 601):
    x, target = batch(64)
    code, restored, scores = tagger(x)
    restoration = functional.mse_loss(restored, x, reduction="sum") / 64
    sparsity = code.abs().sum(1).mean()
    tagging = functional.cross_entropy(scores, target)
    loss = restoration + 0.3 * sparsity + tagging
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        with torch.no_grad():
            x, target = batch(1000)
            accuracy = (tagger(x)[2].argmax(1) == target).float().mean().item()
        print(f"step {step} loss={loss.item():.4f} val_accuracy={accuracy:.4f}")
