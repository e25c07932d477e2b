"""Reads metrics out of the lines that a training script prints.

Every number is looked at once, and given a name by the few words before it. A pair with ``=`` or
``:`` needs no more; one without needs a word that names a metric, or a compound one that names a
phase (``val_swd``), so that prose stays prose.
Percentages keep the number as printed; ``9903/10000`` is the fraction 0.9903.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from probes._words import HELD_OUT, METRICS, TRAINING, tokens

MAX_LINE = 10_000
_MAX_NUMBERS = 300
_LOOK_BACK = 80

Pair = tuple[str, float]

_PHASES = (HELD_OUT | TRAINING) - {"batch", "tr"}
_WEAK = METRICS | {"lr", "time", "norm", "gnorm", "ms", "temperature", "std", "mfu"}
_COUNTERS = {
    "epoch", "epochs", "ep", "step", "steps", "iter", "iters", "iteration", "iterations", "batch",
    "global_step", "it", "update", "updates", "fold", "rank",
}  # fmt: skip
_NEVER = {"cuda", "cpu", "mps", "xpu", "localhost", "http", "https", "pid", "port", "version"}
_BREAKS = {
    "a", "after", "an", "and", "at", "by", "for", "from", "has", "in", "new", "now", "on", "or",
    "the", "to", "with", "of", "is", "was", "improved", "decreased", "increased",
}  # fmt: skip

_NUMBER = re.compile(
    r"(?<![\w.@/-])(?P<value>[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
    r"|[-+]?(?:nan|inf(?:inity)?)(?![a-z]))(?:/(?P<whole>\d+)(?![\d.]))?(?P<rest>[\w%]*)",
    re.IGNORECASE,
)
_UNITS = re.compile(r"(?:%|[mun]?s|sec|min|h|[kKMGT]?i?B?|dB|x|it|e)?$")
_WRAPPER = re.compile(r"(?:\w+\.)?(?:tensor|float\d*|int\d*)?\(\s*$")
_NOTE = re.compile(r"\s*[(\[]\s*([^()\[\]]{0,16}?)\s*[)\]]$")
_PROSE = re.compile(r"\s+[A-Za-z]+\b(?![@/.\w-]*\s*[:=])(?!\s+[-+.\d])")
_LEVEL = re.compile(r"\b(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)\b[\]:\s|-]*")
_DELIMITER = re.compile(r"[,;|\[\]{}()\"'<>\t:=*#]|\s{2,}")
_WORD = re.compile(r"[A-Za-z_][\w./@-]*$")
_CELLS = re.compile(r"\s*[|,\t│┃]\s*|\s{2,}")


class Parser:
    """Reads a stream of lines; knows the header when rows of a table follow."""

    def __init__(self) -> None:
        self._header: list[str] = []

    def feed(self, line: str) -> list[Pair]:
        """Metrics in the next line.

        >>> parser = Parser()
        >>> parser.feed("epoch  train_loss  accuracy")
        []
        >>> parser.feed("0      0.52        0.83")
        [('train_loss', 0.52), ('accuracy', 0.83)]
        """
        line = line[:MAX_LINE]
        found = parse(line)
        if found:
            return found
        cells = _split(line)
        if len(cells) < 2:
            return []
        if _is_header(cells):
            self._header = [_normal(cell) for cell in cells]
        elif len(cells) == len(self._header):
            return _row(self._header, cells)
        return []


def parse(line: str) -> list[Pair]:
    """Metrics in one line, each name once.

    >>> parse("Epoch 3: loss 0.52, val loss 0.61, acc 87.2%")
    [('loss', 0.52), ('val_loss', 0.61), ('acc', 87.2)]
    >>> parse("Test set: Average loss: 0.0309, Accuracy: 9903/10000 (99%)")
    [('test_average_loss', 0.0309), ('test_accuracy', 0.9903)]
    """
    line = line[:MAX_LINE]
    pairs = _mapping(line.strip())
    if pairs is None:
        level = _LEVEL.search(line, 0, 100)
        pairs = list(_pairs(line[level.end() :] if level else line))
    return list({name: (name, value) for name, value in reversed(pairs)}.values())[::-1]


def _mapping(line: str) -> list[Pair] | None:
    """The numbers of a line that is a JSON object or the text of a dict."""
    if not (line.startswith("{") and line.endswith("}")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return list(_flat(read(line)))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _flat(mapping: dict[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[Pair]:
    for key, value in mapping.items():
        name = prefix + _normal(str(key))
        if isinstance(value, dict) and depth < 2:
            yield from _flat(value, f"{name}/", depth + 1)
        elif not isinstance(value, bool | None) and not _is_counter(name):
            number = _number(value) if isinstance(value, int | float | str) else None
            if number is not None:
                yield name, number


def _pairs(line: str) -> Iterator[Pair]:
    phase, end = "", 0
    for match in islice(_NUMBER.finditer(line), _MAX_NUMBERS):
        value = _value(match)
        if value is None or line.startswith("|", match.end()):  # A progress bar: "50%|###  |".
            continue
        head = line[max(end, match.start() - _LOOK_BACK) : match.start()]
        name, strong = _name(head)
        if not name:
            continue
        end, before = match.end(), head[: len(head) - len(name)]
        phase = _last_phase(before) or phase
        if _is_counter(name):
            phase = _last_phase(name) or phase
        elif _counts(name, strong, line[end : end + _LOOK_BACK]):
            yield _full_name(name, before, phase), value


def _value(match: re.Match[str]) -> float | None:
    if not _UNITS.match(match["rest"]):
        return None
    value = float(match["value"].replace(",", ""))
    if match["whole"] is not None:
        return value / int(match["whole"]) if int(match["whole"]) else None
    return value


def _name(head: str) -> tuple[str, bool]:
    """The words just before a number, and whether a sign ties them to it."""
    text = _WRAPPER.sub("", head).rstrip()
    strong = text.endswith((":", "="))
    text = text.rstrip(":= ").rstrip("\"'")
    note = _NOTE.search(text)
    inner = ""
    if note and strong:
        text = text[: note.start()]
        inner = note[1].lower() if note[1].lower() in _PHASES else ""
    if not strong and text.endswith((" is", " was", " of")):
        text, strong = text.rpartition(" ")[0], True
    words: list[str] = []
    for word in reversed(_DELIMITER.split(text)[-1].split(" ")[-4:]):
        if not _WORD.match(word) or word.lower() in _BREAKS:
            break
        if words and word.lower() in _COUNTERS:
            break
        words.insert(0, word)
    return " ".join([inner, *words]).strip(), strong and bool(words)


def _counts(name: str, strong: bool, after: str) -> bool:
    """Whether a name with a number is a metric and not a part of prose."""
    words = tokens(name)
    if words & _NEVER or re.match(r"\s*\w+://", after):
        return False
    if not strong:
        last = tokens(name.split(" ")[-1])
        if last == {"rate"}:  # Of something: of success, or of learning.
            last = words
        return bool(last & _WEAK) or (len(last) > 1 and bool(last & _PHASES))
    return bool(words & _WEAK) or not _PROSE.match(after)


def _full_name(name: str, before: str, phase: str) -> str:
    """The name with what the words further left say: the metric, the phase."""
    if not tokens(name) & METRICS:
        segment = re.split(r"[,;|\t]", before)[-1]
        metrics = [word for word in re.findall(r"[a-z0-9]+", segment.lower()) if word in METRICS]
        if metrics and " " in segment.strip():
            name = f"{_last_phase(name)} {metrics[-1]}".strip()
    if phase and not tokens(name) & _PHASES and tokens(name) & METRICS:
        name = f"{phase} {name}"
    return _normal(name)


def _last_phase(text: str) -> str:
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if word in _PHASES]
    return words[-1] if words else ""


def _is_counter(name: str) -> bool:
    return _normal(name).rpartition("_")[2] in _COUNTERS or _normal(name) in _COUNTERS


def _normal(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip().lower())


def _number(text: object) -> float | None:
    try:
        return float(str(text).rstrip("%"))
    except ValueError:
        return None


def _split(line: str) -> list[str]:
    line = line.strip(" |\t│┃\r\n")
    cells = _CELLS.split(line)
    return cells if len(cells) > 1 else line.split()


def _is_header(cells: list[str]) -> bool:
    named = all(len(cell) <= 40 and re.match(r"[A-Za-z_]", cell) for cell in cells)
    return named and any(tokens(cell) & METRICS for cell in cells)


def _row(header: list[str], cells: list[str]) -> list[Pair]:
    numbers = [_number(cell) for cell in cells]
    if sum(number is not None for number in numbers) * 2 < len(cells):
        return []
    return [
        (name, number)
        for name, number in zip(header, numbers, strict=True)
        if number is not None and not _is_counter(name)
    ]
