"""The pitch of a noisy tone, by a normed perceptron and RMSprop."""

import torch
from torch import nn

torch.manual_seed(4)
clock = torch.linspace(0, 1, 16)


def tones(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    pitch = torch.rand(count, 1)
    wave = torch.sin((4 + 8 * pitch) * clock + 0.5 * torch.rand(count, 1))
    return wave + 0.05 * torch.randn(count, 16), 4 * pitch - 2


class Ear(nn.Module):
    def __init__(self):
        super().__init__()
        self.drum = nn.Linear(16, 48)
        self.even = nn.LayerNorm(48)
        self.cochlea = nn.Linear(48, 48)
        self.nerve = nn.Linear(48, 1)

    def forward(self, sound):
        felt = torch.tanh(self.even(self.drum(sound)))
        return self.nerve(felt + nn.functional.silu(self.cochlea(felt)))


sounds, pitches = tones(1000)
unheard, truth = tones(300)
ear = Ear()
opt = torch.optim.RMSprop(ear.parameters(), lr=2.0)
for round_ in range(10):
    for at in range(0, 1000, 40):
        opt.zero_grad()
        error = (ear(sounds[at : at + 40]) - pitches[at : at + 40]).square().mean()
        error.backward()
        opt.step()
    with torch.no_grad():
        test_mae = (ear(unheard) - truth).abs().mean()
    print(f"round {round_}: error={error.item():.4f} test_mae={test_mae:.4f}")
