"""Event classification of detector segments through a learned context vector.

A segment is a short stretch of the photodiode read-out of an interferometer: a constant light
level with a small modulation on top, which is one of six kinds of event (rising or falling
chirp, early or late burst, burst with an echo, ring-down) in noise. A 1-D convolutional encoder
reduces it to a bounded context vector, from which a small head reads the kind of event. The
context used to come out with too little spread, hence the variance penalty in the loss. The
encoder starts from small weights, the learning rate warms up, and the batch-norm momentum decays
during training as in PointNet.

What we care about is ``val_acc``. ``train_std`` and ``val_std`` are the standard deviation of
the context over samples, averaged over its entries.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = 6
LIGHT_LEVEL = 3.0


def make_segments(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws segments, shaped (count, 1, length), and the kind of event in each."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, generator=generator)

    kind = torch.randint(KINDS, (count,), generator=generator)
    time = torch.linspace(0.0, 1.0, length)[None, :]
    start, pitch, phase = uniform(-0.04, 0.04), uniform(24.0, 32.0), uniform(0.0, 6.28)
    early = torch.exp(-0.5 * ((time - 0.3 - start) / 0.07) ** 2)
    late = torch.exp(-0.5 * ((time - 0.7 - start) / 0.07) ** 2)
    middle = torch.exp(-0.5 * ((time - 0.5 - start) / 0.18) ** 2)
    since = (time - 0.25 - start).clamp(min=0.0)
    ringing = torch.exp(-since / 0.2) * (since > 0)
    steady = torch.sin(2 * torch.pi * pitch * time + phase)
    rising = torch.sin(2 * torch.pi * (0.5 * pitch + 0.8 * pitch * time) * time + phase)
    falling = torch.sin(2 * torch.pi * (2.1 * pitch - 0.8 * pitch * time) * time + phase)
    events = torch.stack(
        (
            middle * rising,
            middle * falling,
            early * steady,
            late * steady,
            (early + late) * steady,
            ringing * steady,
        ),
        dim=1,
    )
    event = events[torch.arange(count), kind]
    noise = torch.randn(count, length, generator=generator)
    segment = LIGHT_LEVEL + uniform(0.8, 1.6) * event + 0.3 * noise
    return segment[:, None], kind


class ContextEncoder(nn.Module):
    """Reduces a segment to a context vector with entries in (-1, 1)."""

    def __init__(self, context_dim: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv1d(1, 8, 64, 4),
            nn.InstanceNorm1d(8, affine=True),
            nn.ReLU(),
            nn.Conv1d(8, 16, 32, 4),
            nn.InstanceNorm1d(16, affine=True),
            nn.ReLU(),
            nn.Conv1d(16, 32, 16, 2),
            nn.InstanceNorm1d(32, affine=True),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(2),
            nn.Flatten(),
        )
        self.project = nn.Linear(32 * 2, context_dim)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, segment: Tensor) -> Tensor:
        """Maps (batch, 1, length) to (batch, context_dim)."""
        return torch.tanh(self.project(self.convs(segment)))


def set_momentum(model: nn.Module, momentum: float) -> None:
    """Sets the momentum of all batch-norm layers."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = momentum


@torch.no_grad()
def evaluate(
    encoder: nn.Module, head: nn.Module, segments: Tensor, kinds: Tensor
) -> tuple[float, float]:
    """Returns the spread of the context and the accuracy, in batches of four."""
    encoder.eval()
    head.eval()
    context = torch.cat([encoder(batch) for batch in segments.split(4)])
    accuracy = (head(context).argmax(dim=1) == kinds).float().mean()
    return context.std(dim=0).mean().item(), accuracy.item()


def main() -> None:
    """Trains encoder and head and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Event classification of detector strain.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup-steps", type=int, default=60)
    parser.add_argument("--bn-momentum", type=float, default=0.5)
    parser.add_argument("--bn-decay", type=float, default=0.9, help="factor per step")
    parser.add_argument("--variance-weight", type=float, default=1.0)
    parser.add_argument("--target-std", type=float, default=0.75)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    segments, kinds = make_segments(2048, 512, generator)
    val_segments, val_kinds = make_segments(512, 512, generator)
    encoder, head = ContextEncoder(32), nn.Linear(32, KINDS)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=args.lr)
    warmup = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / args.warmup_steps)
    )

    step = 0
    for epoch in range(1, args.epochs + 1):
        encoder.train()
        head.train()
        totals = torch.zeros(4)
        batches = torch.randperm(len(segments)).split(args.batch_size)
        for rows in batches:
            set_momentum(encoder, args.bn_momentum * args.bn_decay**step)
            context = encoder(segments[rows])
            logits = head(context)
            spread = context.std(dim=0).mean()
            class_loss = F.cross_entropy(logits, kinds[rows])
            variance_penalty = F.relu(args.target_std - spread) ** 2
            loss = class_loss + args.variance_weight * variance_penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            warmup.step()
            step += 1
            accuracy = (logits.argmax(dim=1) == kinds[rows]).float().mean()
            totals += torch.stack((loss, variance_penalty, spread, accuracy)).detach()
        train_loss, penalty, train_std, train_acc = (totals / len(batches)).tolist()
        val_std, val_acc = evaluate(encoder, head, val_segments, val_kinds)
        print(
            f"epoch {epoch} train_loss={train_loss:.4f} variance_penalty={penalty:.4f} "
            f"train_std={train_std:.3f} train_acc={train_acc:.3f} "
            f"val_std={val_std:.3f} val_acc={val_acc:.3f}"
        )


if __name__ == "__main__":
    main()
