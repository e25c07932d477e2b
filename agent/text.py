"""Text and numbers as a person is shown them: in the live view, the report, an error message."""

from __future__ import annotations

import math
import re

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.S)
_NO_METRIC = 1e12  # Objective.worst: what a run without a final metric is told as.


def plain(text: object) -> str:
    r"""Text from a script as one harmless line: no escape sequences, no control characters.

    >>> plain("a\x1b[31mred\x1b[0m\nb\u202e")
    'ared b'
    """
    stripped = _ESCAPE_SEQUENCE.sub("", str(text))
    kept = (char if char.isprintable() else " " for char in stripped)
    return " ".join("".join(kept).split())


def number(value: float | None) -> str:
    """A metric for a person: four digits; ``none`` for a run that broke off without one.

    >>> number(0.123456), number(-1e12), number(None)
    ('0.1235', 'none', 'none')
    """
    if value is None or math.isnan(value) or abs(value) == _NO_METRIC:
        return "none"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds for a person.

    >>> duration(0.04), duration(9.87), duration(75), duration(7384)
    ('0.0 s', '9.9 s', '1 min 15 s', '2 h 3 min')
    """
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
