"""What can go wrong where a treatment is applied for good."""

from __future__ import annotations


class NotApplicable(ValueError):
    """A treatment that cannot be applied to a model by itself."""
