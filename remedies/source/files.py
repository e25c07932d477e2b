"""The files of a program, and the places in them that the untreated run told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probes.trace import Trace
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile


class Files:
    """The user's files, each opened once.

    Args:
        trace: The untreated run.
        directory: The working directory.
        script: The script.
    """

    def __init__(self, trace: Trace, directory: Path, script: Path) -> None:
        self.trace = trace
        self._folders = (script.resolve().parent, directory.resolve())
        self._script = script.resolve()
        self._files: dict[Path, SourceFile] = {}

    @property
    def files(self) -> list[SourceFile]:
        """The files that were looked at."""
        return list(self._files.values())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Take back the edits that were asked for where not all of them can be made."""
        before = {file.path: file.asked_for for file in self.files}
        try:
            yield
        except Unwritable:
            for file in self.files:
                file.ask_for(before.get(file.path, {}))
            raise

    def assigns(self, attribute: str) -> bool:
        """Whether an attribute of this name is set somewhere in the user's files."""
        self.open_all()
        return any(file.assigns(attribute) for file in self.files)

    def root(self, place: str) -> str | None:
        """The model that a module, or a parameter of one, belongs to."""
        known = self.trace.modules
        info = known.get(place) or known.get(place.rpartition(".")[0])
        while info is not None and info.parent is not None:
            info = known.get(info.parent)
        return info.where if info is not None else None

    def place(self, place: str | None) -> tuple[SourceFile, int]:
        """The file and the line that a run calls ``train.py:12``.

        Raises:
            Unwritable: There is not exactly one such file.
        """
        name, _, line = (place or "").rpartition(":")
        paths = {(folder / name).resolve() for folder in self._folders if name}
        files = [path for path in paths if path.is_file()]
        if len(files) != 1:
            raise Unwritable(f"it is not clear where {place} is")
        return self._open(files[0]), int(line)

    def same_scope(self, place: str, other: str) -> bool:
        """Whether two lines are of one function."""
        from remedies.source.blocks import statement_at

        scopes = [file.scope(statement_at(file, n)) for file, n in map(self.place, (place, other))]
        return scopes[0] is scopes[1]

    def open_all(self) -> None:
        """Open the script, and all files in which modules or loss terms are made."""
        places = {info.source for info in self.trace.modules.values()}
        places |= {info.source for info in self.trace.terms.values()}
        for place in places - {None}:
            self.place(place)
        self._open(self._script)

    def _open(self, path: Path) -> SourceFile:
        if path not in self._files:
            self._files[path] = SourceFile(path)
        return self._files[path]
