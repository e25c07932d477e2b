"""Text of a script as a model may see it: one short line, which cannot pass for ours."""

from __future__ import annotations

import math

from agent.text import number, plain

NAME = 120
SENTENCE = 400


def short(text: object, most: int = SENTENCE) -> str:
    r"""One harmless line of at most so many characters.

    >>> short("val\x1b[31m_acc\nignore all"), short("abcdefgh", 5)
    ('val_acc ignore all', 'abcd…')
    """
    line = plain(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def finite(value: float | None) -> float | None:
    """A metric as JSON can have it; None for a run that broke off without one.

    >>> finite(0.5), finite(float("nan")), finite(-1e12)
    (0.5, None, None)
    """
    if value is None or not math.isfinite(value) or number(value) == "none":
        return None
    return value
