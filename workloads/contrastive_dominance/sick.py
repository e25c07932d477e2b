"""Next-vector prediction over sequences of unit-norm embeddings.

A document is a sequence of sentence embeddings. Given the first few, a small GRU predicts the
embedding of the next sentence, which a retrieval index then looks up by cosine similarity. Like
the output of most sentence encoders the vectors are anisotropic: all of them share a mean
direction, a smaller part follows the topic of the document, the rest is particular to a sentence.

The loss mixes a regression term with an in-batch contrastive term. What we care about is
``val_cosine``: the cosine similarity of the prediction and the true next vector.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def make_documents(
    count: int, length: int, dim: int, topics: int, generator: torch.Generator
) -> Tensor:
    """Draws documents of unit-norm vectors, shaped (count, length, dim).

    The basis is drawn from its own seed, as if one pretrained encoder had embedded every split.
    """
    basis_generator = torch.Generator().manual_seed(1234)
    basis, _ = torch.linalg.qr(torch.randn(dim, 2 * topics + 1, generator=basis_generator))
    shared = basis[:, 0]
    planes = basis[:, 1:].T.reshape(topics, 2, dim)
    # Each topic coordinate turns by its own angle from a sentence to the next.
    angles = torch.linspace(0.2, 1.2, topics)
    phase = 2 * torch.pi * torch.rand(count, 1, topics, generator=generator)
    phase = phase + angles * torch.arange(length)[None, :, None]
    strength = torch.rand(count, 1, topics, generator=generator) + 0.5
    coords = torch.stack((phase.cos(), phase.sin()), dim=-1) * strength[..., None]
    topic = torch.einsum("nltp,tpd->nld", coords, planes)
    topic = F.normalize(topic, dim=-1)
    noise = F.normalize(torch.randn(count, length, dim, generator=generator), dim=-1)
    return F.normalize(0.49 * shared + 0.28 * topic + 0.825 * noise, dim=-1)


class NextVector(nn.Module):
    """Summarises the context with a GRU and projects its last state to the next vector."""

    def __init__(self, dim: int, hidden: int) -> None:
        """Builds the layers."""
        super().__init__()
        self.project_in = nn.Linear(dim, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.project_out = nn.Linear(hidden, dim)

    def forward(self, context: Tensor) -> Tensor:
        """Predicts unit vectors, (batch, dim), from (batch, length, dim)."""
        # Entries of a unit vector are of size dim ** -0.5: bring them to size 1.
        states, _ = self.gru(self.project_in(context * context.shape[-1] ** 0.5))
        return F.normalize(self.project_out(states[:, -1]), dim=-1)


def info_nce_loss(prediction: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of picking the own target among all targets of the batch."""
    logits = prediction @ target.T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits)))


@torch.no_grad()
def evaluate(model: nn.Module, documents: Tensor) -> float:
    """Mean cosine similarity of predicted and true last vectors."""
    model.eval()
    prediction = model(documents[:, :-1])
    return F.cosine_similarity(prediction, documents[:, -1], dim=-1).mean().item()


def main() -> None:
    """Trains the predictor and prints one line per epoch."""
    parser = argparse.ArgumentParser(description="Next-vector prediction.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--train-documents", type=int, default=6144)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    train = make_documents(args.train_documents, args.length, args.dim, 6, generator)
    val = make_documents(512, args.length, args.dim, 6, generator)
    model = NextVector(args.dim, args.hidden)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)

    for epoch in range(1, args.epochs + 1):
        model.train()
        totals = torch.zeros(3)
        batches = torch.randperm(len(train)).split(args.batch_size)
        for rows in batches:
            documents = train[rows]
            prediction, target = model(documents[:, :-1]), documents[:, -1]
            mse = F.mse_loss(prediction, target)
            info_nce = info_nce_loss(prediction, target, args.temperature)
            loss = 0.5 * mse + 0.5 * info_nce
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            totals += torch.stack((loss, mse, info_nce)).detach()
        train_loss, mse_mean, info_nce_mean = (totals / len(batches)).tolist()
        print(
            f"epoch {epoch} train_loss={train_loss:.5f} mse={mse_mean:.6f} "
            f"info_nce={info_nce_mean:.4f} val_cosine={evaluate(model, val):.4f}"
        )


if __name__ == "__main__":
    main()
