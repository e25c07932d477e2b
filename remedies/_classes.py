"""How common the classes of a loss are."""

from __future__ import annotations

from probes.trace import Trace
from remedies.source.errors import Unwritable


def shares(trace: Trace, line: str) -> list[float]:
    """How common each class is at the line of a loss, as far as was seen.

    Raises:
        Unwritable: It was not seen, or a class never occurred.
    """
    found: list[float] = []
    while values := trace.signal("train", line, f"label.share.{len(found)}").values:
        found.append(sum(values) / len(values))
    if len(found) < 2 or min(found) <= 0:
        raise Unwritable(f"how common the classes are at {line} is not known")
    return found
