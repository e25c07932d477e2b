"""Annotation of price windows: what kind of expansion there is, where it is, and when it begins.

A window is 105 bars of four features (return, range, volume, position in the bar). Somewhere in it
the price expands for a while: upwards, downwards, or to both sides. An LSTM that reads the window
in both directions feeds four heads: the kind of expansion (3 classes), two pointers (its centre and
its length, as shares of the window), for each bar whether it belongs to the expansion, and for each
bar the countdown, in bars, to the beginning of the expansion, cut off at 20 bars before and after.

The four losses are of very different size, so each is divided by its running mean before they are
weighted. What we care about is ``val_countdown_mae``, in bars: orders are placed by the countdown.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BARS = 105
HORIZON = 20
WEIGHTS = {"kind": 0.10, "pointers": 0.70, "inside": 0.10, "countdown": 0.10}


def make_windows(count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draws windows, shaped (count, BARS, 4), and what is to be read from them."""
    kind = torch.randint(3, (count,), generator=generator)
    length = torch.randint(15, 45, (count,), generator=generator)
    start = (torch.rand(count, generator=generator) * (BARS - length - 10)).long() + 5
    bars = torch.arange(BARS)[None, :]
    inside = ((bars >= start[:, None]) & (bars < (start + length)[:, None])).float()
    noise = torch.randn(count, BARS, 4, generator=generator)
    swing = torch.where(torch.rand(count, BARS, generator=generator) < 0.5, -1.0, 1.0)
    drift = torch.stack((torch.ones_like(swing), -torch.ones_like(swing), swing))
    returns = 0.7 * noise[..., 0] + 1.4 * inside * drift[kind, torch.arange(count)]
    spread = 0.6 * noise[..., 1] + inside
    volume = 0.8 * noise[..., 2] + 0.6 * inside
    features = torch.stack((returns, spread, volume, noise[..., 3]), dim=-1)
    centre = (start + length / 2) / BARS
    countdown = (start[:, None] - bars).clamp(-HORIZON, HORIZON).float()
    return {
        "features": features,
        "kind": kind,
        "pointers": torch.stack((centre, length / BARS), dim=-1),
        "inside": inside,
        "countdown": countdown,
    }


class Annotator(nn.Module):
    """A bidirectional LSTM with a head for the window and heads for each of its bars."""

    def __init__(self, hidden: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.lstm = nn.LSTM(4, hidden, batch_first=True, bidirectional=True)
        self.kind_head = nn.Linear(2 * hidden, 3)
        self.pointer_head = nn.Linear(2 * hidden, 2)
        self.inside_head = nn.Linear(2 * hidden, 1)
        self.countdown_head = nn.Linear(2 * hidden, 1)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Reads windows of shape (batch, BARS, 4)."""
        states, _ = self.lstm(features)
        summary = states.mean(dim=1)
        return {
            "kind": self.kind_head(summary),
            "pointers": self.pointer_head(summary),
            "inside": self.inside_head(states).squeeze(-1),
            "countdown": self.countdown_head(states).squeeze(-1),
        }


class LossNormalizer:
    """Divides each loss by its running mean, so that none of them is larger than the others."""

    def __init__(self, momentum: float = 0.95, warmup_steps: int = 10) -> None:
        """Starts with a plain mean over the warm-up."""
        self.momentum = momentum
        self.warmup_steps = warmup_steps
        self.steps = 0
        self.means: dict[str, float] = {}

    def normalize(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Takes the losses of a step into the means and divides them."""
        self.steps += 1
        keep = self.momentum if self.steps > self.warmup_steps else 1 - 1 / self.steps
        for name, loss in losses.items():
            self.means[name] = keep * self.means.get(name, 0.0) + (1 - keep) * loss.item()
        return {name: loss / max(self.means[name], 1e-8) for name, loss in losses.items()}


@torch.no_grad()
def evaluate(model: nn.Module, windows: dict[str, Tensor]) -> dict[str, float]:
    """Errors of the four heads: in bars, in shares of the window, in shares wrong."""
    model.eval()
    output = model(windows["features"])
    wrong_bars = (output["inside"] > 0) != (windows["inside"] > 0)
    wrong_kinds = output["kind"].argmax(dim=-1) != windows["kind"]
    return {
        "val_countdown_mae": (output["countdown"] - windows["countdown"]).abs().mean().item(),
        "val_pointer_mae": (output["pointers"] - windows["pointers"]).abs().mean().item(),
        "val_inside_error": wrong_bars.float().mean().item(),
        "val_kind_error": wrong_kinds.float().mean().item(),
    }


def main() -> None:
    """Trains the annotator and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Annotation of price windows.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--hidden", type=int, default=24)
    parser.add_argument("--train-windows", type=int, default=420)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train = make_windows(args.train_windows, generator)
    val = make_windows(128, generator)
    model = Annotator(args.hidden)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    normalizer = LossNormalizer()

    for epoch in range(1, args.epochs + 1):
        model.train()
        totals = torch.zeros(4)
        batches = torch.randperm(args.train_windows).split(args.batch_size)
        for rows in batches:
            batch = {name: values[rows] for name, values in train.items()}
            output = model(batch["features"])
            loss_kind = F.cross_entropy(output["kind"], batch["kind"])
            loss_pointers = F.huber_loss(output["pointers"], batch["pointers"], delta=0.08)
            loss_inside = F.binary_cross_entropy_with_logits(output["inside"], batch["inside"])
            loss_countdown = F.huber_loss(output["countdown"], batch["countdown"], delta=1.0)
            normalized = normalizer.normalize(
                {
                    "kind": loss_kind,
                    "pointers": loss_pointers,
                    "inside": loss_inside,
                    "countdown": loss_countdown,
                }
            )
            loss = (
                WEIGHTS["kind"] * normalized["kind"]
                + WEIGHTS["pointers"] * normalized["pointers"]
                + WEIGHTS["inside"] * normalized["inside"]
                + WEIGHTS["countdown"] * normalized["countdown"]
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            totals += torch.stack((loss_kind, loss_pointers, loss_inside, loss_countdown)).detach()
        kind, pointers, inside, countdown = (totals / len(batches)).tolist()
        errors = " ".join(f"{name}={error:.4f}" for name, error in evaluate(model, val).items())
        print(
            f"epoch {epoch} {errors} kind_loss={kind:.4f} pointer_loss={pointers:.5f} "
            f"inside_loss={inside:.4f} countdown_loss={countdown:.3f}"
        )


if __name__ == "__main__":
    main()
