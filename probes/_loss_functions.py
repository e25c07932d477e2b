"""Names of torch's loss functions, by what they take for targets."""

from __future__ import annotations

REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
CATEGORICAL = ("cross_entropy", "nll_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
SIGNED = {
    "hinge_embedding_loss": 1,
    "soft_margin_loss": 1,
    "margin_ranking_loss": 2,
    "cosine_embedding_loss": 2,
}
"""Losses whose labels are -1 and 1, each with the place of the labels among its arguments."""
TRANSCRIPTION = "ctc_loss"
"""The loss whose labels are sequences, in which one class, the blank, is none."""
DIFFERENCES = ("sub", "subtract", "__rsub__")
"""What a regression loss that is written by hand begins with."""
