"""Names of the positional parameters of torch functions that cannot be asked for them."""

from __future__ import annotations

SCALED_PRODUCT = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")
"""Of ``scaled_dot_product_attention``."""
TRANSCRIPTION_SETTINGS = ("blank", "reduction", "zero_infinity")
"""Of ``torch.nn.CTCLoss``."""
TRANSCRIPTION = (
    "log_probs", "targets", "input_lengths", "target_lengths", *TRANSCRIPTION_SETTINGS,
)  # fmt: skip
"""Of ``ctc_loss``."""
