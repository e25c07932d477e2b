"""How many of five lamps are lit on a panel: a ConvNet whose initialiser was left at zeros."""

import torch

torch.manual_seed(9)
SIDE = 14


def panels(count):
    lit = torch.randint(6, (count,))
    picture = 0.1 * torch.randn(count, 1, SIDE, SIDE)
    for number in range(5):
        row, column = torch.randint(SIDE - 1, (2, count))
        on = (number < lit).float()
        for down in (0, 1):
            for right in (0, 1):
                picture[torch.arange(count), 0, row + down, column + right] += on
    return picture, lit


def reset(layer):
    if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
        layer.weight.data.zero_()
        layer.bias.data.zero_()


counter = torch.nn.Sequential(
    torch.nn.Conv2d(1, 12, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.Conv2d(12, 12, 3, padding=1),
    torch.nn.GELU(),
    torch.nn.AvgPool2d(7),
    torch.nn.Flatten(),
    torch.nn.Linear(48, 6),
)
counter.apply(reset)
seen, lit = panels(1200)
new, new_lit = panels(300)
adam = torch.optim.Adam(counter.parameters(), lr=5e-3)
for epoch in range(10):
    for rows in torch.randperm(len(seen)).split(24):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(counter(seen[rows]), lit[rows])
        loss.backward()
        adam.step()
    with torch.no_grad():
        accuracy = (counter(new).argmax(1) == new_lit).float().mean()
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {accuracy.item():.3f}")
