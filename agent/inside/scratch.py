"""The folders that the trials of a host run in, one after another."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.snapshot import Snapshot, Unpacked

_State = tuple[int, ...]


class Scratch:
    """Lays the user's files out once, and gives every trial what it would find in a fresh copy.

    What a trial adds is removed, and what it changes is written anew. To lay out a repository of
    thousands of files takes longer than many a trial.

    Args:
        root: Folder that the copies are made in.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made = 0
        self._snapshot: Snapshot | None = None
        self._folder: Path | None = None
        self._copy: Unpacked
        self._states: dict[str, _State] = {}

    def prepare(self, snapshot: Snapshot) -> tuple[Path, Unpacked]:
        """The folder of the next trial, and the copy of the files below it, in ``files``."""
        if self._folder is None or snapshot is not self._snapshot:
            self._drop()
            folder = self._root / str(self._made)
            self._made += 1
            self._copy = snapshot.lay_out(folder / "files")
            self._states = {entry.path: _state(entry) for entry in _below(folder)}
            self._folder, self._snapshot = folder, snapshot
        return self._folder, self._copy

    def clear(self) -> None:
        """Undo what a trial did, which has ended."""
        try:
            self._restore()
        except OSError:
            self._drop()

    def _restore(self) -> None:
        if self._folder is None or self._snapshot is None:
            return
        left = set()
        for entry in _below(self._folder):
            if _state(entry) == self._states.get(entry.path):
                left.add(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        lost = self._states.keys() - left
        if lost:
            files = self._folder / "files"
            self._snapshot.lay_out(files, {os.path.relpath(path, files) for path in lost})
            self._states = {entry.path: _state(entry) for entry in _below(self._folder)}

    def _drop(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = self._snapshot = None


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
