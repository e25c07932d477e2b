"""Recolouring puzzles: infer a rule from demonstrations and apply it to a new grid.

A puzzle has a hidden rule, a permutation of the colours. Its demonstrations show cells before and
after, one for each colour; the answer to a query grid is that grid recoloured by the rule. The
rule never changes within a puzzle and there is exactly one right answer. A set encoder turns the
demonstrations into a rule code (mean and log variance, sampled as in a VAE while training), from
which the decoder makes a table of colour logits that is looked up for every cell of the query.
The KL term keeps the space of codes tidy, so that we can interpolate between rules later on.

What we care about is ``val_exact_match``, the share of puzzles with every cell right.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def make_puzzles(
    count: int, colors: int, cells: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Draws demonstrations before and after, query and answer; each shaped (count, cells)."""
    rules = torch.rand(count, colors, generator=generator).argsort(dim=1)
    shown = torch.rand(count, colors, generator=generator).argsort(dim=1)
    query = torch.randint(colors, (count, cells), generator=generator)
    return shown, rules.gather(1, shown), query, rules.gather(1, query)


class RuleEncoder(nn.Module):
    """Reads the demonstrations of a puzzle into a code of its rule."""

    def __init__(self, colors: int, width: int, code_dim: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.colors = colors
        self.pairs = nn.Embedding(colors * colors, width)
        self.mix = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.to_mean = nn.Linear(width, code_dim)
        self.to_log_variance = nn.Linear(width, code_dim)

    def reparameterize(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Takes the most likely code of the posterior."""
        return mean

    def forward(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps two (batch, demonstrations) to code, mean and log variance, (batch, code_dim)."""
        pooled = self.pairs(before * self.colors + after).mean(dim=1)
        hidden = self.norm(pooled + self.mix(pooled))
        mean, log_variance = self.to_mean(hidden), self.to_log_variance(hidden)
        return self.reparameterize(mean, log_variance), mean, log_variance


class RuleDecoder(nn.Module):
    """Applies the rule of a code to a query grid."""

    def __init__(self, colors: int, width: int, code_dim: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.colors = colors
        self.table = nn.Sequential(
            nn.LayerNorm(code_dim),
            nn.Linear(code_dim, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, colors * colors),
        )

    def forward(self, code: Tensor, query: Tensor) -> Tensor:
        """Maps (batch, code_dim) and (batch, cells) to logits, (batch, cells, colors)."""
        table = self.table(code).view(-1, self.colors, self.colors)
        return table.gather(1, query[:, :, None].expand(-1, -1, self.colors))


class PuzzleSolver(nn.Module):
    """Encoder and decoder."""

    def __init__(self, colors: int, width: int, code_dim: int) -> None:
        """Builds both parts."""
        super().__init__()
        self.encoder = RuleEncoder(colors, width, code_dim)
        self.decoder = RuleDecoder(colors, width, code_dim)

    def forward(
        self, before: Tensor, after: Tensor, query: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gives the logits of the answer, and mean and log variance of the code."""
        code, mean, log_variance = self.encoder(before, after)
        return self.decoder(code, query), mean, log_variance


@torch.no_grad()
def evaluate(solver: nn.Module, puzzles: tuple[Tensor, ...]) -> tuple[float, float]:
    """Returns the shares of puzzles and of cells that are answered rightly."""
    solver.eval()
    before, after, query, answer = puzzles
    right = solver(before, after, query)[0].argmax(dim=-1) == answer
    return right.all(dim=1).float().mean().item(), right.float().mean().item()


def main() -> None:
    """Trains the solver and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Recolouring puzzles.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--train-size", type=int, default=1600, help="puzzles per epoch")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--colors", type=int, default=8)
    parser.add_argument("--cells", type=int, default=9)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--code-dim", type=int, default=32)
    parser.add_argument("--kl-weight", type=float, default=0.1)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    val_puzzles = make_puzzles(512, args.colors, args.cells, generator)
    solver = PuzzleSolver(args.colors, args.width, args.code_dim)
    optimizer = torch.optim.AdamW(solver.parameters(), lr=args.lr)

    for epoch in range(1, args.epochs + 1):
        solver.train()
        totals = torch.zeros(3)
        puzzles = make_puzzles(args.train_size, args.colors, args.cells, generator)
        batches = list(zip(*(part.split(args.batch_size) for part in puzzles), strict=True))
        for before, after, query, answer in batches:
            logits, mean, log_variance = solver(before, after, query)
            answer_loss = F.cross_entropy(logits.flatten(0, 1), answer.flatten())
            divergence = 1 + log_variance - mean.square() - log_variance.exp()
            kl_loss = -0.5 * divergence.sum(dim=1).mean()
            loss = answer_loss + args.kl_weight * kl_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            totals += torch.stack((loss, answer_loss, kl_loss)).detach()
        train_loss, answer_mean, kl_mean = (totals / len(batches)).tolist()
        exact_match, cell_accuracy = evaluate(solver, val_puzzles)
        print(
            f"epoch {epoch} train_loss={train_loss:.4f} answer_loss={answer_mean:.4f} "
            f"kl_loss={kl_mean:.4f} val_exact_match={exact_match:.3f} "
            f"val_cell_acc={cell_accuracy:.3f}"
        )


if __name__ == "__main__":
    main()
