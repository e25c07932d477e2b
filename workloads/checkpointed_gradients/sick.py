"""In-context recolouring: one demonstration shows a rule, the model applies it to a new row.

Every task follows one of six recolouring rules. The demonstration is a row before and after. A
hypernetwork reads it and writes low-rank deltas for the weights of a recurrent solver, which
refines a hidden state of the query row in a few steps. The colour table stands for one that was
learned elsewhere, and stays frozen. Solver steps are checkpointed, so that memory does not grow
with their number.

What we care about is ``val_acc``, the share of cells with the right colour.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

COLOURS = 8
RULES = 6


def make_tasks(count: int, cells: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draws tasks: four rows of colours each, shaped (count, cells)."""

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, (count, *shape), generator=generator)

    tables = torch.stack([torch.randperm(COLOURS, generator=generator) for _ in range(RULES)])
    rule = draw(RULES, 1)

    shown, query = draw(COLOURS, cells), draw(COLOURS, cells)
    return {
        "before": shown,
        "after": tables[rule, shown],
        "query": query,
        "target": tables[rule, query],
    }


class HyperNetwork(nn.Module):
    """Reads a demonstration and writes one low-rank delta per weight of the solver."""

    def __init__(
        self, colour_dim: int, hidden_dim: int, rank: int, shapes: dict[str, tuple[int, int]]
    ):
        """Builds the layers."""
        super().__init__()
        self.rank = rank
        self.shapes = shapes
        self.read = nn.Sequential(
            nn.Linear(2 * colour_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
        )
        self.down = nn.ModuleDict(
            {name: nn.Linear(hidden_dim, rank * columns) for name, (_, columns) in shapes.items()}
        )
        self.up = nn.ModuleDict(
            {name: nn.Linear(hidden_dim, rows * rank) for name, (rows, _) in shapes.items()}
        )

    def forward(self, before: Tensor, after: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Maps rows, (batch, cells, colour_dim), to the two factors of each delta."""
        code = self.read(torch.cat((before, after), dim=2)).mean(dim=1)
        return {
            name: (
                self.up[name](code).unflatten(1, (rows, self.rank)),
                self.down[name](code).unflatten(1, (self.rank, columns)),
            )
            for name, (rows, columns) in self.shapes.items()
        }


def adapted(layer: nn.Linear, inputs: Tensor, delta: tuple[Tensor, Tensor]) -> Tensor:
    """Applies a linear layer with a low-rank delta of its own for each sample."""
    up, down = delta
    return layer(inputs) + inputs @ down.mT @ up.mT / down.shape[1]


class RecurrentSolver(nn.Module):
    """Refines a hidden state of the query row under the deltas of the task."""

    def __init__(self, colour_dim: int, hidden_dim: int, steps: int, rank: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.steps = steps
        self.colours = nn.Embedding(COLOURS, colour_dim)
        self.colours.requires_grad_(False)
        self.look = nn.Linear(colour_dim, hidden_dim)
        self.think = nn.Linear(hidden_dim, hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.hyper = HyperNetwork(
            colour_dim,
            hidden_dim,
            rank,
            {"look": (hidden_dim, colour_dim), "think": (hidden_dim, hidden_dim)},
        )
        self.head = nn.Linear(hidden_dim, COLOURS)

    def solver_step(
        self, row: Tensor, hidden: Tensor | None, deltas: dict[str, tuple[Tensor, Tensor]]
    ) -> Tensor:
        """One refinement; there is no hidden state before the first."""
        update = adapted(self.look, row, deltas["look"])
        if hidden is not None:
            update = update + adapted(self.think, hidden, deltas["think"])
        refined = F.gelu(self.norm(update))
        return refined if hidden is None else hidden + refined

    def forward(self, before: Tensor, after: Tensor, query: Tensor) -> Tensor:
        """Maps three rows of colours, (batch, cells), to logits (batch, COLOURS, cells)."""
        before, after, row = (self.colours(r) for r in (before, after, query))
        deltas = self.hyper(before, after)
        hidden = None
        for _ in range(self.steps):
            hidden = checkpoint(self.solver_step, row, hidden, deltas, use_reentrant=True)
        return self.head(hidden).mT


@torch.no_grad()
def evaluate(model: nn.Module, tasks: dict[str, Tensor]) -> float:
    """Returns the share of cells with the right colour."""
    model.eval()
    logits = model(tasks["before"], tasks["after"], tasks["query"])
    return (logits.argmax(1) == tasks["target"]).float().mean().item()


def main() -> None:
    """Trains the solver with its hypernetwork and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="In-context recolouring of rows.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--train-size", type=int, default=1280)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--cells", type=int, default=6)
    parser.add_argument("--solver-steps", type=int, default=3)
    parser.add_argument("--hidden-dim", type=int, default=48)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    tasks = make_tasks(args.train_size + 512, args.cells, generator)
    train = {name: rows[:-512] for name, rows in tasks.items()}
    val = {name: rows[-512:] for name, rows in tasks.items()}
    model = RecurrentSolver(12, args.hidden_dim, args.solver_steps, args.rank)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=args.lr, weight_decay=0.01
    )
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(args.train_size).split(args.batch_size)
        for rows in batches:
            logits = model(train["before"][rows], train["after"][rows], train["query"][rows])
            loss = F.cross_entropy(logits, train["target"][rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        accuracy = evaluate(model, val)
        print(f"epoch {epoch} train_loss={total / len(batches):.4f} val_acc={accuracy:.3f}")


if __name__ == "__main__":
    main()
