"""Three heads, each loss over its running mean; one of them has nothing to learn but noise."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(3)
trunk = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
heads = nn.ModuleDict({"kind": nn.Linear(48, 3), "size": nn.Linear(48, 1), "odd": nn.Linear(48, 1)})
optimizer = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.05, momentum=0.9)
means: dict[str, float] = {}


def batch(count: int) -> tuple[torch.Tensor, ...]:
    inputs = torch.randn(count, 10)
    size = inputs[:, 3:6].sin().sum(1, keepdim=True)
    return inputs, inputs[:, :3].argmax(1), size, torch.randn(count, 1)


for step in range(1, 501):
    inputs, kind, size, odd = batch(64)
    hidden = trunk(inputs)
    losses = {
        "kind": functional.cross_entropy(heads["kind"](hidden), kind),
        "size": functional.smooth_l1_loss(heads["size"](hidden), size),
        "odd": functional.mse_loss(heads["odd"](hidden), odd),
    }
    for name, loss in losses.items():
        means[name] = 0.95 * means.get(name, loss.item()) + 0.05 * loss.item()
    total = sum(
        weight * losses[name] / means[name]
        for name, weight in (("kind", 0.5), ("size", 0.48), ("odd", 0.02))
    )
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    if step % 50 == 0:
        with torch.no_grad():
            inputs, kind, size, _ = batch(1000)
            hidden = trunk(inputs)
            right = (heads["kind"](hidden).argmax(1) == kind).float().mean()
            off = (heads["size"](hidden) - size).abs().mean()
        print(f"step {step}: val acc {right:.3f}, val size error {off:.3f}")
