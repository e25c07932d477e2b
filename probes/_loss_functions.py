"""Names of torch's loss functions, by what they take for targets."""

from __future__ import annotations

REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
CATEGORICAL = ("cross_entropy", "nll_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
DIFFERENCES = ("sub", "subtract", "__rsub__")
"""What a regression loss that is written by hand begins with."""
