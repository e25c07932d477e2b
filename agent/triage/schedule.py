"""When sweeps begin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def seconds(text: str) -> float:
    """A duration as people write it.

    Raises:
        UsageError: It is none.

    >>> seconds("15m"), seconds("1h30m"), seconds("7d"), seconds("90")
    (900.0, 5400.0, 604800.0, 90.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text.lower())
    if text.replace(".", "", 1).isdigit():
        parts = [(text, "s")]
    elif "".join(number + unit for number, unit in parts) != text.lower():
        parts = []
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if total <= 0:
        raise UsageError(f"{text!r} is no duration: write 90s, 15m, 6h, 7d")
    return total


def every(interval: float, now: datetime) -> Iterator[datetime]:
    """Now, and then again and again.

    Args:
        interval: Seconds from one beginning to the next.
        now: When it begins.
    """
    while True:
        yield now
        now += timedelta(seconds=interval)


def cron(expression: str, now: datetime) -> Iterator[datetime]:
    """The times of a cron expression after now.

    Args:
        expression: Five fields, or one of ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``,
            ``@yearly``.
        now: With a time zone, whose clock the expression means.

    Raises:
        UsageError: It is none.
    """
    from cronsim import CronSim, CronSimError

    try:
        times = CronSim(_NAMED.get(expression.strip().lower(), expression), now)
        first: datetime = next(times)
    except (CronSimError, StopIteration) as error:
        raise UsageError(f"--cron {expression!r} is no schedule: {error}") from error
    return _from(first, times)


def _from(first: datetime, times: Iterator[datetime]) -> Iterator[datetime]:
    yield first
    yield from times
