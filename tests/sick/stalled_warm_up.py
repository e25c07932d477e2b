"""Fits a small network to the height of waves, with a warm-up made for a far longer run."""

import torch
from torch.optim import lr_scheduler

torch.manual_seed(3)
where = 4 * torch.rand(2200, 2) - 2
height = torch.sin(2 * where[:, 0]) + torch.cos(3 * where[:, 1])
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(where[:2000], height[:2000]), batch_size=50, shuffle=True
)


class Waves(torch.nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(),
            torch.nn.Linear(64, 1), torch.nn.Flatten(0),
        )  # fmt: skip


class Trainer:
    def __init__(self, net: torch.nn.Module) -> None:
        self.net = net
        self.solver = torch.optim.Adam(net.parameters(), lr=1e-2)
        warm_up = lr_scheduler.LinearLR(self.solver, 1e-3, total_iters=40_000)
        fall = lr_scheduler.CosineAnnealingLR(self.solver, 60_000)
        self.plan = lr_scheduler.SequentialLR(self.solver, [warm_up, fall], [40_000])

    def fit(self, rounds: int) -> None:
        for number in range(rounds):
            for at, target in loader:
                self.solver.zero_grad()
                loss = (self.net(at) - target).square().mean()
                loss.backward()
                self.solver.step()
                self.plan.step()
            with torch.no_grad():
                wrong = (self.net(where[2000:]) - height[2000:]).square().mean()
            r2 = 1 - wrong / height[2000:].var()
            print(f"round {number} val_r2 {r2:.4f}")


Trainer(Waves()).fit(12)
