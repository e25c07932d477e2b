"""How common the classes of a loss are."""

from __future__ import annotations

from probes._class_weights import of_classes
from probes.trace import Trace
from remedies.source.errors import Unwritable


def shares(trace: Trace, line: str) -> list[float]:
    """How common each class is at the line of a loss, as far as was seen.

    Raises:
        Unwritable: It was not seen, or a class never occurred.
    """
    found = of_classes(trace, line, "label.share")
    if len(found) < 2 or min(found) <= 0:
        raise Unwritable(f"how common the classes are at {line} is not known")
    return found


def weights(trace: Trace, line: str) -> list[float]:
    """The weights of the classes that a loss is given at a line; none where it is given none."""
    return of_classes(trace, line, "label.weight")
