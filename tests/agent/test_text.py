"""Text and numbers as a person is shown them."""

import math

import pytest

from agent.text import duration, number, plain


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.15, "0.15"),
        (math.nan, "none"),
        (math.inf, "inf"),
        (1e12, "none"),
        (12345.678, "1.235e+04"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_text_helpers() -> None:
    assert plain("\x1b]0;title\x07a\tb\r\nc\x9b31m\ud800") == "a b c 31m"
    assert duration(59.7) == "1 min 0 s"
