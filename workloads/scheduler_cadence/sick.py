"""Trains an LSTM to tell whether brackets are balanced, and how deep they go."""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS = 6


def make_brackets(count: int, length: int) -> tuple[Tensor, Tensor]:
    """Draws strings of brackets, shaped (count, length), and the level that each one ends at."""
    steps = torch.randint(0, 2, (count, length))
    level = (2 * steps - 1).cumsum(1)[:, -1].abs() // 2
    return steps, level.clamp(max=DEPTHS - 1)


class Counter(nn.Module):
    """An embedding, an LSTM and a head."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.embed = nn.Embedding(2, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, DEPTHS)

    def forward(self, text: Tensor) -> Tensor:
        """Maps (batch, length) to (batch, depths)."""
        return self.head(self.lstm(self.embed(text))[0][:, -1])


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    text, level = make_brackets(2048, 14)
    val_text, val_level = make_brackets(512, 14)
    model = Counter(24)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)

    for epoch in range(1, args.epochs + 1):
        for rows in torch.randperm(len(text)).split(args.batch_size):
            loss = F.cross_entropy(model(text[rows]), level[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        with torch.no_grad():
            val_acc = (model(val_text).argmax(1) == val_level).float().mean().item()
        print(f"epoch {epoch} loss={loss.item():.4f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
