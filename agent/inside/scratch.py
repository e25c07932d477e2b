"""The folders that the trials of a host run in, one after another."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.snapshot import Snapshot, Unpacked

_State = tuple[int, ...]


class Scratch:
    """Lays the user's files out once, and gives every trial what it would find in a fresh copy.

    What a trial adds is removed, and what it changes is written anew; so is what differs in other
    files. To lay out a repository of thousands of files takes longer than many a trial.

    Args:
        root: Folder that the copies are made in.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._made = 0
        self._laid: _Laid | None = None

    def prepare(self, snapshot: Snapshot) -> tuple[Path, Unpacked]:
        """The folder of the next trial, and the copy of the files below it, in ``files``."""
        if self._laid and snapshot is not self._laid.snapshot:
            self._turn_to(self._laid, snapshot)
        if self._laid is None:
            folder = self._root / str(self._made)
            self._made += 1
            snapshot.lay_out(folder / "files")
            self._laid = _Laid.of(folder, snapshot)
        return self._laid.folder, snapshot.at(self._laid.folder / "files")

    def clear(self) -> None:
        """Undo what a trial did, which has ended."""
        if self._laid:
            self._turn_to(self._laid, self._laid.snapshot)

    def _turn_to(self, laid: _Laid, snapshot: Snapshot) -> None:
        """Have the folder hold these files alone, as they were taken."""
        try:
            self._laid = _corrected(laid, snapshot)
        except OSError:
            shutil.rmtree(laid.folder, ignore_errors=True)
            self._laid = None


@dataclass(frozen=True)
class _Laid:
    """Files that are laid out.

    Attributes:
        folder: The folder around them, in which there was nothing else.
        snapshot: What they are.
        states: How each of them was left, by its path.
    """

    folder: Path
    snapshot: Snapshot
    states: Mapping[str, _State]

    @classmethod
    def of(cls, folder: Path, snapshot: Snapshot) -> _Laid:
        """They have just been laid out."""
        return cls(folder, snapshot, {entry.path: _state(entry) for entry in _below(folder)})


def _corrected(laid: _Laid, snapshot: Snapshot) -> _Laid:
    files = laid.folder / "files"
    wrong = {str(files / name) for name in _differences(laid.snapshot, snapshot)}
    right = set()
    for entry in _below(laid.folder):
        if entry.path not in wrong and _state(entry) == laid.states.get(entry.path):
            right.add(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    wrong |= laid.states.keys() - right
    if not wrong:
        return replace(laid, snapshot=snapshot)
    snapshot.lay_out(files, {os.path.relpath(path, files) for path in wrong})
    return _Laid.of(laid.folder, snapshot)


def _differences(one: Snapshot, other: Snapshot) -> set[str]:
    """Paths in two snapshots that do not hold the same."""
    if one is other:
        return set()
    return {name for name, _ in one.contents.items() ^ other.contents.items()}


def _below(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """All that is in a folder; what is removed meanwhile is not entered."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        yield entry
        if entry.is_dir(follow_symlinks=False) and os.path.isdir(entry.path):
            yield from _below(entry.path)


def _state(entry: os.DirEntry[str]) -> _State:
    """What differs after any change: the time of the last one cannot be set by a program."""
    about = os.lstat(entry.path)
    if stat.S_ISDIR(about.st_mode):
        return about.st_mode, about.st_ino
    return about.st_mode, about.st_ino, about.st_size, about.st_ctime_ns
