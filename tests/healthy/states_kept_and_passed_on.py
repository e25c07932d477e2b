"""Values of a board game from itself: a target network, a file, the best weights kept as copies."""

import copy

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(15)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(9, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1)
    )


def worth(board: torch.Tensor) -> torch.Tensor:
    rows = board.view(-1, 3, 3)
    return torch.tanh(rows.sum(1).square().sum(1) - rows.sum(2).square().sum(1))[:, None]


boards = torch.randint(-1, 2, (600, 9)).float()
val_boards = torch.randint(-1, 2, (300, 9)).float()
online, target = network(), network()
target.load_state_dict(online.state_dict())
shapes = {name: tuple(value.shape) for name, value in online.state_dict().items()}
at_first = online.state_dict()  # Only to be counted.
optimizer = torch.optim.Adam(online.parameters(), lr=2e-3)
lowest, best = float("inf"), {}
for epoch in range(1, 31):
    for rows in torch.randperm(len(boards)).split(30):
        with torch.no_grad():
            aim = 0.9 * worth(boards[rows]) + 0.1 * target(boards[rows])
        optimizer.zero_grad()
        functional.mse_loss(online(boards[rows]), aim).backward()
        optimizer.step()
    target.load_state_dict(online.state_dict())
    with torch.no_grad():
        error = functional.mse_loss(online(val_boards), worth(val_boards)).item()
    if error < lowest:
        lowest, best = error, copy.deepcopy(online.state_dict())
        torch.save(online.state_dict(), "final.pt")
    if epoch % 10 == 0:
        online.load_state_dict(torch.load("final.pt"))
    print(f"epoch {epoch}: val_mse={error:.4f}")
online.load_state_dict(best)
print(f"{sum(value.numel() for value in at_first.values())} weights in {len(shapes)} tensors")
with torch.no_grad():
    print(f"best: val_mse={functional.mse_loss(online(val_boards), worth(val_boards)).item():.4f}")
