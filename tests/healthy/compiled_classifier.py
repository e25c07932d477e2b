"""A network compiled without a graph break, one of its parts recomputed in the backward pass."""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.lower = nn.Sequential(nn.Linear(10, 64), nn.GELU())
        self.middle = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64))
        self.upper = nn.Linear(64, 5)

    def forward(self, inputs):
        hidden = self.lower(inputs)
        hidden = hidden + checkpoint(self.middle, hidden, use_reentrant=False)
        return self.upper(hidden)


torch.manual_seed(43)
inputs = torch.randn(1200, 10)
labels = (inputs @ torch.randn(10, 5)).argmax(1)
network = Network()
compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
for epoch in range(10):
    compiled.train()
    for rows in torch.randperm(960).split(60):
        loss = functional.cross_entropy(compiled(inputs[rows]), labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    compiled.eval()
    with torch.no_grad():
        accuracy = (compiled(inputs[960:]).argmax(1) == labels[960:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} val_acc {accuracy:.4f}")
torch.save(network.state_dict(), "final.pt")
