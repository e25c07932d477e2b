"""When sweeps begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from agent.errors import UsageError
from agent.triage.schedule import cron, every, seconds

NOW = datetime(2026, 3, 1, 10, 7, tzinfo=UTC)


def test_cron_expressions() -> None:
    hours = [time.hour for time in islice(cron("0 */4 * * *", NOW), 3)]
    assert hours == [12, 16, 20]
    assert next(cron("@hourly", NOW)) == NOW + timedelta(minutes=53)
    assert next(cron("0 9 * * 1", NOW)).isoweekday() == 1


def test_an_interval_begins_now() -> None:
    assert list(islice(every(900, NOW), 2)) == [NOW, NOW + timedelta(minutes=15)]


@pytest.mark.parametrize("text", ["", "soon", "15", "61 * * * *", "0 0 31 2 *x"])
def test_no_cron_expression(text: str) -> None:
    with pytest.raises(UsageError, match="--cron"):
        cron(text, NOW)


@pytest.mark.parametrize("text", ["", "0m", "m", "1.5.h", "15 minutes", "-3h"])
def test_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="no duration"):
        seconds(text)
