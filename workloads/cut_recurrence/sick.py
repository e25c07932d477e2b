"""Tells which tool a robot has picked up from the currents of its motors.

The grip at the beginning of a work cycle draws a current that depends on the tool; what follows is
the same work with all of them. The answer is given at the end. What counts is ``val_acc``.
"""

import argparse

import torch
from torch import Tensor, nn

MOTORS = 5
TOOLS = 6


def record(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws work cycles, shaped (count, length, motors), and the tools, (count,)."""
    tool = torch.randint(TOOLS, (count,), generator=generator)
    grips = torch.randn(TOOLS, 2, MOTORS, generator=torch.Generator().manual_seed(1))
    phase = 6.3 * torch.rand(count, 1, MOTORS, generator=generator)
    current = 0.5 * torch.sin(phase + 0.9 * torch.arange(length)[None, :, None])
    current[:, :2] = grips[tool]
    return current + 0.2 * torch.randn(count, length, MOTORS, generator=generator), tool


class ToolReader(nn.Module):
    """A recurrent cell that reads the currents one after the other."""

    def __init__(self, width: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.embed = nn.Linear(MOTORS, width)
        self.cell = nn.GRUCell(width, width)
        self.head = nn.Linear(width, TOOLS)

    def forward(self, current: Tensor) -> Tensor:
        """Maps (batch, length, motors) to logits, (batch, tools)."""
        state = current.new_zeros(len(current), self.cell.hidden_size)
        for frame in torch.relu(self.embed(current)).unbind(1):
            state = self.cell(frame, state.detach())
        return self.head(state)


def main() -> None:
    """Trains the model and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Tools of a robot by its motor currents.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--lr", type=float, default=2e-2)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    currents, tools = record(1000, 12, generator)
    val_currents, val_tools = record(300, 12, generator)
    model = ToolReader(args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(currents)).split(args.batch_size)
        for rows in batches:
            loss = nn.functional.cross_entropy(model(currents[rows]), tools[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(batches)
        model.eval()
        with torch.no_grad():
            right = model(val_currents).argmax(1) == val_tools
        print(f"epoch {epoch} train_loss={total:.4f} val_acc={right.float().mean().item():.3f}")


if __name__ == "__main__":
    main()
