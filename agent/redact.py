"""Keeps secrets that were given as arguments out of what is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SECRET = r"(api.?key|access.?key|token(?!i)|secret|passw|credential|auth(?!or))"
_SECRET_OPTION = re.compile(rf"^-.*{_SECRET}", re.IGNORECASE)
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:hf_\w{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|dapi[0-9a-f]{32}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"
)
"""What keys of well-known services look like, wherever they stand."""
_NUMBER = re.compile(r"^[-+]?[\d._]+(e[-+]?\d+)?$", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
HIDDEN = "***"
_SHORTEST = 4  # anything shorter would be found in every text


def find_secrets(args: Iterable[str]) -> tuple[str, ...]:
    """The arguments, or parts of them, that nobody else should read; the longest first.

    By the name of the option, the password in a URL, and what keys of known services look like.

    >>> find_secrets(["--api-key", "s3cret", "--hf_token=hf_abc", "--max-tokens", "512"])
    ('hf_abc', 's3cret')
    >>> find_secrets(["db.password=opensesame", "--tokenizer", "gpt2", "x:hf_" + 20 * "a"])
    ('hf_aaaaaaaaaaaaaaaaaaaa', 'opensesame')
    """
    secrets: list[str] = []
    hide_next = False
    for arg in args:
        name, _, value = arg.partition("=")
        secrets += _IN_URL.findall(arg) + _SHAPES.findall(arg)
        if hide_next and not arg.startswith("-"):
            secrets.append(arg)
        is_secret = bool(_SECRET_OPTION.match(name))
        if value and _SECRET_NAME.search(name):
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
        text = text.replace(secret, HIDDEN)
    return text
