"""A consistent picture of the user's working directory, taken once per diagnosis.

The user may go on editing while trials run, and the trials may run on other machines: so small
files travel as one archive, and large ones are linked to the originals.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.archives import extract
from agent.errors import UsageError

LARGE = 64 * 2**20
MAX_FILES = 50_000
MAX_BYTES = 2**30

_SKIPPED_FOLDERS = {
    ".git", ".hg", ".svn", "__pycache__", "node_modules", ".tox", ".nox", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".agent", "mlruns",
}  # fmt: skip
_SKIPPED_FILES = {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlflow.db-journal"}


@dataclass(frozen=True)
class Unpacked:
    """A scratch copy of the snapshot.

    Attributes:
        directory: The copy of the working directory.
        script: The copy of the script.
        links: Every symbolic link in the copy that leads to a file of the user.
    """

    directory: Path
    script: Path
    links: frozenset[str]


@dataclass(frozen=True)
class Snapshot:
    """The working directory and the folder of the script, ready to be laid out anywhere.

    Attributes:
        archive: Tar archive of the small files, folders and links.
        links: Path in the snapshot and absolute target, for each linked file.
        directory: Path of the working directory in the snapshot.
        script: Path of the script in the snapshot.
    """

    archive: bytes
    links: tuple[tuple[str, str], ...]
    directory: str
    script: str

    @functools.cached_property
    def digest(self) -> str:
        """Tells whether two snapshots are of the same files, whenever those were written."""
        whole = repr((self.directory, self.script, sorted(self.contents.items())))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    @functools.cached_property
    def contents(self) -> Mapping[str, str]:
        """What is at each path in the snapshot: equal where the same is there.

        Of a linked file, which is large, the size and the time of its last change count.
        """
        found: dict[str, str] = {}
        with tarfile.open(fileobj=io.BytesIO(self.archive)) as archive:
            for info in archive:
                file = archive.extractfile(info) if info.isreg() else None
                content = hashlib.sha256(file.read() if file else b"").hexdigest()
                found[info.name] = repr((info.type, info.mode, info.linkname, content))
        for path, target in self.links:
            about = os.stat(target) if os.path.exists(target) else None
            changed = (about.st_size, about.st_mtime_ns) if about else ()
            found[path] = repr((target, *changed))
        return found

    @classmethod
    def take(cls, directory: Path, script: Path, large: int = LARGE) -> Snapshot:
        """Read the working directory, and the script's folder where that lies elsewhere.

        Args:
            directory: The working directory.
            script: The script, anywhere.
            large: Files of at least this many bytes are linked instead of copied.

        Raises:
            UsageError: There is too much to copy, or it cannot be read.
        """
        directory, script = directory.resolve(), script.resolve()
        root, roots = _roots(directory, script.parent)
        picture = _Picture(root, large)
        for folder in roots:
            picture.add_folder(folder)
        return cls(
            archive=picture.finish(),
            links=tuple(picture.links),
            directory=os.path.relpath(directory, root),
            script=os.path.relpath(script, root),
        )

    def read(self, path: str) -> bytes:
        """A small file, by its path from the working directory.

        Raises:
            UsageError: There is no such file.
        """
        with tarfile.open(fileobj=io.BytesIO(self.archive)) as archive:
            try:
                file = archive.extractfile(self._member(path))
            except KeyError:
                file = None
            if file is None:
                raise UsageError(f"{path} is not among the files that were diagnosed")
            return file.read()

    def changed(self, files: Mapping[str, bytes]) -> Snapshot:
        """The same files, some of them with another content.

        Args:
            files: New contents, by paths from the working directory.
        """
        contents = {self._member(path): content for path, content in files.items()}
        buffer = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(self.archive)) as before,
            tarfile.open(fileobj=buffer, mode="w") as after,
        ):
            for info in before:
                content = contents.get(info.name)
                if content is not None:
                    info.size = len(content)
                    after.addfile(info, io.BytesIO(content))
                else:
                    after.addfile(info, before.extractfile(info) if info.isreg() else None)
        return replace(self, archive=buffer.getvalue())

    def _member(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.directory, path))

    def unpack(self, into: Path) -> Path:
        """Lay the snapshot out in the folder ``into`` and return the path of the script there."""
        return self.lay_out(into).script

    def lay_out(self, into: Path, only: Collection[str] | None = None) -> Unpacked:
        """Lay the snapshot out in the folder ``into``.

        Args:
            into: What is laid out must not be there.
            only: Lay out no more than these paths in the snapshot.
        """
        into.mkdir(parents=True, exist_ok=True)
        into = into.resolve()
        with tarfile.open(fileobj=io.BytesIO(self.archive)) as archive:
            extract(archive, into, only)
        for path, target in self.links:
            if only is None or path in only:
                os.symlink(target, into / path)
        return self.at(into)

    def at(self, folder: Path) -> Unpacked:
        """Where everything is in a folder that the snapshot has been laid out in."""
        return Unpacked(
            directory=folder / self.directory,
            script=folder / self.script,
            links=frozenset(str(folder / path) for path, _ in self.links),
        )


def _roots(directory: Path, folder: Path) -> tuple[Path, list[Path]]:
    """The folder that paths in the snapshot are relative to, and the folders to read."""
    if folder.is_relative_to(directory):
        return directory.parent, [directory]
    if directory.is_relative_to(folder):
        return folder.parent, [folder]
    return Path(os.path.commonpath([directory, folder])), [directory, folder]


class _Picture:
    """Collects files into an archive in memory."""

    def __init__(self, root: Path, large: int) -> None:
        self._root = root
        self._large = large
        self._buffer = io.BytesIO()
        self._archive = tarfile.open(fileobj=self._buffer, mode="w")
        self._files = 0
        self._bytes = 0
        self.links: list[tuple[str, str]] = []

    def add_folder(self, folder: Path) -> None:
        """Add everything below the folder, and the empty folders above it."""
        self._folder = folder
        self._archive.add(folder, self._name(folder), recursive=False)
        for path in _walk(folder):
            try:
                self._add(path)
            except FileNotFoundError:
                continue  # Deleted while we read.
            except OSError as error:
                raise UsageError(f"cannot read {path}: {error.strerror}") from error

    def finish(self) -> bytes:
        """The archive."""
        self._archive.close()
        return self._buffer.getvalue()

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))

    def _add(self, path: Path) -> None:
        if path.is_symlink():
            self._add_link(path)
        elif path.is_dir():
            self._archive.add(path, self._name(path), recursive=False)
        elif path.is_file():
            size = path.stat().st_size
            if size >= self._large:
                self.links.append((self._name(path), str(path)))
            else:
                self._count(size)
                self._add_file(path)

    def _add_file(self, path: Path) -> None:
        with path.open("rb") as file:
            info = self._archive.gettarinfo(arcname=self._name(path), fileobj=file)
            if info.type != tarfile.REGTYPE:  # A second hard link to a file that is there already.
                info.type, info.linkname = tarfile.REGTYPE, ""
            content = file.read()
            info.size = len(content)
            self._archive.addfile(info, io.BytesIO(content))

    def _add_link(self, path: Path) -> None:
        target = os.path.join(path.parent, os.readlink(path))
        if Path(os.path.normpath(target)).is_relative_to(self._folder):
            info = self._archive.gettarinfo(path, self._name(path))
            here = os.path.normpath(target)
            info.linkname = os.path.relpath(here, path.parent)
            self._archive.addfile(info)
        else:
            self.links.append((self._name(path), os.path.realpath(target)))

    def _count(self, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._files > MAX_FILES or self._bytes > MAX_BYTES:
            much = (
                f"more than {MAX_FILES:,} files"
                if self._files > MAX_FILES
                else f"more than {MAX_BYTES / 2**30:.0f} GiB of small files"
            )
            raise UsageError(
                f"{self._folder} holds {much}, too much to copy for every trial: "
                "run from the folder of the script, or move the data out of it"
            )


def _walk(folder: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(folder):
        here = Path(current)
        kept = [name for name in sorted(folders) if not _is_skipped(here / name)]
        links = [name for name in kept if (here / name).is_symlink()]
        folders[:] = [name for name in kept if name not in links]
        yield from (here / name for name in kept)
        yield from (here / name for name in sorted(files) if name not in _SKIPPED_FILES)


def _is_skipped(folder: Path) -> bool:
    return folder.name in _SKIPPED_FOLDERS or (folder / "pyvenv.cfg").exists()
