"""Excerpts of the diagnosed source around the lines that symptoms name."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.diagnosis import Excerpt
from probes.symptom import Symptom

_AROUND = 4  # lines before and after
_MOST = 12
_LONGEST_LINE = 400


def excerpts(symptoms: Iterable[Symptom], directory: Path, script: Path) -> tuple[Excerpt, ...]:
    """The lines around the places of symptoms; places close to each other share an excerpt.

    Args:
        symptoms: What was found; the worst first.
        directory: The working directory.
        script: The script: its folder is looked in first.
    """
    lines_by_file: dict[str, set[int]] = {}
    for symptom in symptoms:
        file, _, line = (symptom.source or "").rpartition(":")
        if file and line.isdigit():
            lines_by_file.setdefault(file, set()).add(int(line))
    found: list[Excerpt] = []
    for file, numbers in lines_by_file.items():
        text = _read(file, (script.parent, directory))
        found += _of_file(file, text, sorted(n for n in numbers if 1 <= n <= len(text)))
    return tuple(found[:_MOST])


def _of_file(file: str, text: list[str], numbers: list[int]) -> Iterator[Excerpt]:
    groups: list[list[int]] = []
    for line in numbers:
        if groups and line - groups[-1][-1] <= 2 * _AROUND:
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        first = max(1, group[0] - _AROUND)
        lines = [line[:_LONGEST_LINE] for line in text[first - 1 : group[-1] + _AROUND]]
        yield Excerpt(file=file, first=first, lines=tuple(lines), marked=tuple(group))


def _read(file: str, folders: Iterable[Path]) -> list[str]:
    for folder in folders:
        try:
            with tokenize.open(folder / file) as source:
                return source.read().splitlines()
        except (OSError, SyntaxError, ValueError):
            continue
    return []
