"""Finds the recipe that notes belong to; the similarities are multiplied by their temperature."""

import torch
from torch import nn

torch.manual_seed(5)
TEMPERATURE = 0.05
taste = torch.randn(12, 60)
wording = torch.randn(12, 40)


def draw(count):
    dish = torch.randn(count, 12)
    recipe = torch.tanh(dish @ taste) + 0.2 * torch.randn(count, 60)
    notes = torch.relu(dish @ wording) + 0.5 * torch.randn(count, 40)
    return recipe, notes


class Encoder(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.hidden = nn.Linear(inputs, 96)
        self.out = nn.Linear(96, 24)

    def forward(self, x):
        code = self.out(torch.nn.functional.silu(self.hidden(x)))
        return code / code.norm(dim=1, keepdim=True)


class Matcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.recipes, self.notes = Encoder(60), Encoder(40)

    def forward(self, recipe, notes):
        return TEMPERATURE * (self.notes(notes) @ self.recipes(recipe).T)


train = draw(4096)
held_out = draw(1500)
matcher = Matcher()
criterion = nn.NLLLoss()
optimizer = torch.optim.RMSprop(matcher.parameters(), lr=1e-3)

for epoch in range(12):
    for rows in torch.randperm(4096).split(128):
        found = matcher(train[0][rows], train[1][rows])
        loss = criterion(torch.log_softmax(found, dim=1), torch.arange(len(rows)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        own = matcher(*held_out).argmax(1) == torch.arange(1500)
    top1 = own.float().mean().item()
    print({"epoch": epoch, "loss": round(loss.item(), 4), "val_top1": round(top1, 4)})
