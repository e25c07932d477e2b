"""Two in five labels are random: the best accuracy is there after one epoch, then comes overfit."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(21)
truth = torch.randn(12, 4)


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(size, 12)
    labels = (inputs @ truth).argmax(1)
    wrong = torch.rand(size) < 0.55
    return inputs, torch.where(wrong, torch.randint(4, (size,)), labels)


inputs, labels = batch(1500)
val_inputs, val_labels = batch(2000)
model = nn.Sequential(nn.Linear(12, 256), nn.ReLU(), nn.Linear(256, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(1, 15):
    total = 0.0
    for rows in torch.randperm(1500).split(30):
        loss = functional.cross_entropy(model(inputs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 50
    with torch.no_grad():
        logits = model(val_inputs)
        val_loss = functional.cross_entropy(logits, val_labels).item()
        accuracy = (logits.argmax(1) == val_labels).float().mean().item()
    print(f"epoch {epoch} train_loss {total:.4f} val_loss {val_loss:.4f} val_acc {accuracy:.4f}")
