"""Grades wood boards by their surface, from small grey-scale scans.

A scan is 16 by 16 grey values between 0 and 255. Better grades, of which there are four, are
lighter and have a narrower grain; its direction and contrast differ from board to board. What
counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn

GRADES = 4
SIZE = 16


def scan(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws scans, shaped (count, 1, 16, 16), and the grade of each board."""
    grade = torch.randint(GRADES, (count,), generator=generator)
    angle = torch.pi * torch.rand(count, 1, 1, generator=generator)
    spacing = (4.0 - 0.4 * grade)[:, None, None]
    phase = 6.28 * torch.rand(count, 1, 1, generator=generator)
    axis = torch.arange(SIZE, dtype=torch.float32)
    across = axis[None, None, :] * angle.sin() - axis[None, :, None] * angle.cos()
    light = (95 + 18 * grade)[:, None, None] + 16 * torch.rand(count, 1, 1, generator=generator)
    contrast = 25 + 25 * torch.rand(count, 1, 1, generator=generator)
    grain = light + contrast * torch.sin(4 * across / spacing + phase)
    noise = 20 * torch.randn(count, SIZE, SIZE, generator=generator)
    return (grain + noise).clamp(0, 255)[:, None], grade


class Scans(torch.utils.data.Dataset):
    """Scans with their grades, as the network takes them in."""

    def __init__(self, count: int, generator: torch.Generator, normalise: bool) -> None:
        """Draws the scans."""
        self.images, self.grades = scan(count, generator)
        self.normalise = normalise

    def __len__(self) -> int:
        """Returns the number of boards."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Returns one scan and its grade."""
        image = self.images[index]
        if self.normalise:
            image = (image / 255 - 0.5) / 0.15
        return image, self.grades[index]


class Grader(nn.Module):
    """Two convolutions, pooling and a linear layer."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(8 * width, GRADES)

    def forward(self, image: Tensor) -> Tensor:
        """Maps (batch, 1, 16, 16) to one score for each grade."""
        return self.head(self.layers(image))


def main() -> None:
    """Trains the network and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Grading of wood boards.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train_set = Scans(640, generator, normalise=True)
    val_set = Scans(256, generator, normalise=True)
    train_loader = torch.utils.data.DataLoader(train_set, args.batch_size, shuffle=True)
    val_loader = torch.utils.data.DataLoader(val_set, 128)
    model = Grader(8)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for image, grade in train_loader:
            loss = nn.functional.cross_entropy(model(image), grade)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(train_loader)
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch} train_loss {total:.4f} val_acc {right / len(val_set):.3f}")


if __name__ == "__main__":
    main()
