"""Learns items from many ratings, then users who came later from the few that they gave."""

import torch
from torch import nn

torch.manual_seed(5)
ITEMS, OLD, NEW, TASTES = 80, 120, 60, 4

truth = torch.randn(ITEMS, TASTES)
old_taste, new_taste = torch.randn(OLD, TASTES), torch.randn(NEW, TASTES)


def rate(taste: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    user = torch.randint(len(taste), (count,))
    item = torch.randint(ITEMS, (count,))
    stars = (taste[user] * truth[item]).sum(1) + 0.1 * torch.randn(count)
    return user, item, stars


class Ratings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(ITEMS, 6)
        self.old = nn.Embedding(OLD, 6)
        self.new = nn.Embedding(NEW, 6)

    def forward(self, users: nn.Embedding, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        return (users(user) * self.items(item)).sum(1)


model = Ratings()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, betas=(0.9, 0.95), weight_decay=5e-4)


def step(users: nn.Embedding, rows: tuple[torch.Tensor, ...]) -> None:
    user, item, stars = rows
    loss = (model(users, user, item) - stars).square().mean()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()


for _ in range(200):
    step(model.old, rate(old_taste, 512))

for table in (model.items, model.old):
    table.weight.requires_grad = False
known = rate(new_taste, 900)
asked_user, asked_item, asked_stars = rate(new_taste, 1000)
for epoch in range(20):
    for rows in torch.randperm(900).split(60):
        step(model.new, tuple(column[rows] for column in known))
    with torch.no_grad():
        wrong = (model(model.new, asked_user, asked_item) - asked_stars).square().mean()
    print(f"epoch {epoch}: val_r2 {1 - wrong / asked_stars.var():.3f}")
