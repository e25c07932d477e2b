"""Plain tensors and an update that is written out: no module, no optimizer."""

import torch

generator = torch.Generator().manual_seed(19)
x = torch.randn(600, 6, generator=generator)
y = (x[:, 0] * x[:, 1] + x[:, 2]).tanh()
w1 = (0.5 * torch.randn(6, 40, generator=generator)).requires_grad_()
b1 = torch.zeros(40, requires_grad=True)
w2 = (0.2 * torch.randn(40, 1, generator=generator)).requires_grad_()
b2 = torch.zeros(1, requires_grad=True)
weights = [w1, b1, w2, b2]
learning_rate = 0.1


def network(values):
    return ((values @ w1 + b1).relu() @ w2 + b2)[:, 0]


for epoch in range(1, 21):
    for start in range(0, 480, 24):
        rows = slice(start, start + 24)
        loss = ((network(x[rows]) - y[rows]) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for weight in weights:
                weight -= learning_rate * weight.grad
                weight.grad = None
    if epoch % 2 == 0:
        with torch.no_grad():
            print(f"{epoch=} test_mse={((network(x[480:]) - y[480:]) ** 2).mean().item():.5f}")
torch.save(weights, "final.pt")
