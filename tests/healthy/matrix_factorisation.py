"""Two tables of plain tensors are the whole model; Adagrad, and a penalty on their size."""

import torch

torch.manual_seed(37)
truth = torch.randn(60, 3) @ torch.randn(3, 80)
observed = torch.rand(60, 80) < 0.4
hidden = ~observed & (torch.rand(60, 80) < 0.2)
users = (0.1 * torch.randn(60, 6)).requires_grad_()
items = (0.1 * torch.randn(80, 6)).requires_grad_()
optimizer = torch.optim.Adagrad([users, items], lr=0.15)
for step in range(1, 161):
    predicted = users @ items.T
    error = (predicted - truth)[observed].square().mean()
    penalty = users.square().mean() + items.square().mean()
    loss = error + 0.02 * penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 16 == 0:
        rmse = (predicted - truth)[hidden].square().mean().sqrt().item()
        print("step {} loss {:.4f} val_rmse {:.4f}".format(step, loss.item(), rmse))  # noqa: UP032
torch.save([users, items], "final.pt")
