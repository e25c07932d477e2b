"""Phase of a noisy oscillation, by a GRU; called as ``known_good.py rate=0.01 decay=0 hidden=16``.

Good: ``rate=0.01 decay=0``. Each of ``rate=1e-6`` and ``decay=60`` spoils it by itself.
"""

import sys

import torch
from torch import nn

config = {
    "rate": 0.01, "decay": 0.0, "hidden": 16, "batch": 32, "noise": 0.1, "clip": 1.0, "seed": 1,
    "updates": 240,
}  # fmt: skip
for word in sys.argv[1:]:
    key, value = word.split("=")
    config[key] = type(config[key])(value)

torch.manual_seed(config["seed"])
times = torch.linspace(0, 6.28, 12)


def oscillations(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    phase = 3 * torch.rand(count, 1)
    wave = torch.sin(2 * times + phase)
    return (wave + config["noise"] * torch.randn(count, len(times)))[..., None], phase - 1.5


class PhaseMeter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.GRU(1, config["hidden"], batch_first=True)
        self.readout = nn.Linear(config["hidden"], 1)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return self.readout(self.memory(waves)[0][:, -1])


meter = PhaseMeter()
adam = torch.optim.AdamW(meter.parameters(), lr=config["rate"], weight_decay=config["decay"])
held_out = oscillations(256)
for update in range(1, config["updates"] + 1):
    waves, phases = oscillations(config["batch"])
    residual = nn.functional.smooth_l1_loss(meter(waves), phases)
    adam.zero_grad()
    residual.backward()
    nn.utils.clip_grad_norm_(meter.parameters(), config["clip"])
    adam.step()
    if update % 24 == 0:
        with torch.no_grad():
            error = (meter(held_out[0]) - held_out[1]).abs().mean()
        print(f"update {update}: residual={residual:.4f} val_error={error:.4f}")
