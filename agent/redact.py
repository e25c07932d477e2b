"""Keeps secrets that were given as arguments out of what is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SECRET_OPTION = re.compile(r"^-.*(api.?key|token|secret|passw|credential|auth)", re.IGNORECASE)
_NUMBER = re.compile(r"^[-+]?[\d._]+(e[-+]?\d+)?$", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SHORTEST = 4  # anything shorter would be found in every text


def find_secrets(args: Iterable[str]) -> tuple[str, ...]:
    """The arguments, or parts of them, that nobody else should read; the longest first.

    >>> find_secrets(["--api-key", "s3cret", "--hf_token=hf_abc", "--max-tokens", "512"])
    ('hf_abc', 's3cret')
    """
    secrets: list[str] = []
    hide_next = False
    for arg in args:
        name, _, value = arg.partition("=")
        secrets += _IN_URL.findall(arg)
        if hide_next and not arg.startswith("-"):
            secrets.append(arg)
        is_secret = bool(_SECRET_OPTION.match(name))
        if is_secret and value:
            secrets.append(value)
        hide_next = is_secret and not value
    kept = {s for s in secrets if len(s) >= _SHORTEST and not _NUMBER.match(s)}
    return tuple(sorted(kept, key=lambda secret: (-len(secret), secret)))


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets.

    >>> hide("train.py --api-key s3cret", ["s3cret"])
    'train.py --api-key ***'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
