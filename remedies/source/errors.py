"""Why a change is not written into the user's script."""

from __future__ import annotations


class Unwritable(Exception):
    """A change that cannot be written into the user's script, or not safely."""
