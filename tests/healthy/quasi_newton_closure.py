"""L-BFGS with a closure fits a small network to a smooth curve."""

import torch
from torch import nn

torch.manual_seed(3)
x = torch.linspace(-2, 2, 200, dtype=torch.float64)[:, None]
y = torch.sin(2 * x) + 0.3 * x
held_out = torch.zeros(200, dtype=torch.bool)
held_out[::4] = True
net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
net.double()
optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    residual = net(x[~held_out]) - y[~held_out]
    loss = residual.square().mean()
    loss.backward()
    return loss


for iteration in range(1, 81):
    loss = optimizer.step(closure)
    if iteration % 8 == 0:
        with torch.no_grad():
            rmse = (net(x[held_out]) - y[held_out]).square().mean().sqrt()
        print(f"iteration {iteration:3d} | loss {loss.item():.3e} | val_rmse {rmse.item():.3e}")
torch.save(net.state_dict(), "final.pt")
