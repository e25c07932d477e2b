"""An encoder and a decoder reconstruct curves; the encoder is set up again before training."""

import torch
from torch import nn

torch.manual_seed(2)


class Coder(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.up = nn.Linear(inputs, 48)
        self.down = nn.Linear(48, outputs)

    def forward(self, x):
        return self.down(torch.relu(self.up(x)))


def curves(count):
    t = torch.linspace(0, 1, 32)
    f = 1 + 3 * torch.rand(count, 1)
    return torch.sin(6.28 * f * t + 6.28 * torch.rand(count, 1))


encoder, decoder = Coder(32, 4), Coder(4, 32)
optim = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=5e-3)
for coder in (encoder, decoder):
    for linear in (coder.up, coder.down):
        nn.init.zeros_(linear.bias)
encoder = Coder(32, 4)
data, held_out = curves(1600), curves(300)
for epoch in range(12):
    for batch in data[torch.randperm(1600)].split(40):
        error = ((decoder(encoder(batch)) - batch) ** 2).mean()
        optim.zero_grad()
        error.backward()
        optim.step()
    with torch.no_grad():
        test = ((decoder(encoder(held_out)) - held_out) ** 2).mean()
    print(f"epoch {epoch}: train error {error:.4f}, test error {test:.4f}")
