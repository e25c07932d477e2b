"""A multilayer perceptron learns a product of its inputs."""

import torch

torch.manual_seed(11)


def train_one_epoch(net, opt, x, y):
    for xb, yb in zip(x.split(25), y.split(25), strict=True):
        prediction = net(xb)
        cost = torch.mean((prediction - yb) ** 2)
        cost.backward()
        for p in net.parameters():
            p.grad = None
        opt.step()


def main():
    x = torch.randn(1200, 5)
    y = x[:, :1] * x[:, 1:2] + 0.5 * x[:, 2:3]
    net = torch.nn.Sequential(
        torch.nn.Linear(5, 40), torch.nn.Tanh(), torch.nn.Linear(40, 40), torch.nn.Tanh(),
        torch.nn.Linear(40, 1),
    )  # fmt: skip
    opt = torch.optim.RMSprop(net.parameters(), lr=2e-3)
    for epoch in range(12):
        train_one_epoch(net, opt, x[:1000], y[:1000])
        with torch.inference_mode():
            mse = torch.mean((net(x[1000:]) - y[1000:]) ** 2).item()
        print({"epoch": epoch, "val_mse": round(mse, 5)})


main()
