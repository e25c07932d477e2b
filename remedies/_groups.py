"""How many groups a group norm has: for the living module, and for the line in the script."""

from __future__ import annotations


def group_count(channels: int) -> int:
    """The largest usual number of groups that divides the channels, with two in each at least.

    >>> group_count(128), group_count(48), group_count(7)
    (32, 16, 1)
    """
    return next((n for n in (32, 16, 8, 4, 2) if channels % n == 0 and channels // n > 1), 1)
