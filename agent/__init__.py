"""Finds out why a PyTorch training script trains badly, and proves the fix."""

__version__ = "0.1.0"
