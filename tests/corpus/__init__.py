"""The corpus of faults: which script is sick, of what, where, and what cures it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GROUPS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


@dataclass(frozen=True)
class Sick:
    """A script with one fault.

    Attributes:
        name: Name of the fault; ``/second`` behind it for the differently built script.
        story: What is wrong with it, in a few words.
        script: The script.
        healthy: The same script without the fault; None where there is none.
        args: Arguments that make it short.
        symptom: Code of the symptom that has to be found.
        where: The places that are right, any of them.
        line: Texts, one of which is in the line of the script that the symptom names.
        remedies: Names of the remedies that are right; none where it cannot be treated.
        rivals: Remedies that are no cure, put to trials in the table of README.md.
    """

    name: str
    story: str
    script: Path
    healthy: Path | None
    args: tuple[str, ...]
    symptom: str
    where: tuple[str, ...]
    line: tuple[str, ...]
    remedies: tuple[str, ...]
    rivals: tuple[str, ...] = ()

    def names(self, where: str, source: str | None) -> bool:
        """Whether a symptom's place and line are the right ones."""
        if where not in self.where or source is None:
            return False
        name, _, number = source.rpartition(":")
        lines = self.script.with_name(name).read_text().splitlines()
        return any(text in lines[int(number) - 1] for text in self.line)


def load(groups: Iterable[str] = GROUPS) -> list[Sick]:
    """Every sick script, group by group."""
    entries = [
        entry
        for group in groups
        for entry in tomllib.loads(Path(__file__).with_name(f"{group}.toml").read_text())["fault"]
    ]
    return [script for entry in entries for script in _scripts(entry)]


def _scripts(entry: dict[str, Any]) -> list[Sick]:
    name, folder = entry["name"], ROOT / "workloads" / entry["name"]
    first = _sick(entry, name, folder / "sick.py", folder / "healthy.py")
    if "second" not in entry:
        return [first]
    # What is not said of the second script is as in the first.
    second = {**entry, "args": [], "rivals": [], **entry["second"]}
    script = ROOT / "tests" / "sick" / f"{name}.py"
    return [first, _sick(second, f"{name}/second", script, None)]


def _sick(entry: dict[str, Any], name: str, script: Path, healthy: Path | None) -> Sick:
    lists = {
        key: tuple(entry.get(key, ())) for key in ("args", "where", "line", "remedies", "rivals")
    }
    return Sick(
        name=name,
        story=entry["story"],
        script=script,
        healthy=healthy,
        symptom=entry["symptom"],
        **lists,
    )
