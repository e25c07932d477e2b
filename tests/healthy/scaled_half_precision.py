"""Half precision with a gradient scaler, unscaled before it is clipped."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(21)
images = torch.rand(900, 1, 12, 12)
corner = torch.randint(4, (900,))
for image, place in zip(images, corner, strict=True):
    row, column = divmod(int(place), 2)
    image[0, 6 * row : 6 * row + 4, 6 * column : 6 * column + 4] += 0.5
network = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 4),
)  # fmt: skip
optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)  # too large for the first steps
for epoch in range(8):
    for rows in torch.randperm(720).split(48):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = functional.cross_entropy(network(images[rows]), corner[rows])
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
    with torch.no_grad():
        hits = (network(images[720:]).argmax(1) == corner[720:]).float().mean().item()
    print(f"epoch={epoch} scale={scaler.get_scale():g} loss={loss.item():.4f} val_acc={hits:.4f}")
torch.save(network.state_dict(), "final.pt")
