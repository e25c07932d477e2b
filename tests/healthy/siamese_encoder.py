"""One encoder called twice in a step, trained on pairs with a margin; NAdam."""

import torch
from torch import nn
from torch.nn import functional


class Siamese(nn.Module):
    def __init__(self, width=20):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 8))

    def forward(self, left, right):
        return functional.pairwise_distance(self.encoder(left), self.encoder(right))


def pairs(centers, size):
    kinds = torch.randint(len(centers), (2, size))
    kinds[1] = torch.where(torch.rand(size) < 0.5, kinds[0], kinds[1])
    left, right = centers[kinds] + 0.6 * torch.randn(2, size, centers.shape[1])
    return left, right, (kinds[0] == kinds[1]).float()


torch.manual_seed(8)
centers = torch.randn(6, 20)
model = Siamese()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
held_out = pairs(centers, 500)
for step in range(1, 241):
    left, right, same = pairs(centers, 64)
    distance = model(left, right)
    loss = (same * distance.square() + (1 - same) * (2 - distance).clamp(min=0).square()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 24 == 0:
        with torch.no_grad():
            accuracy = ((model(*held_out[:2]) < 1) == held_out[2].bool()).float().mean()
        print(f"step {step} loss {loss.item():.3f} pair accuracy {accuracy.item():.3f}")
torch.save(model.state_dict(), "final.pt")
