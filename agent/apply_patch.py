"""Applies our own patches, strictly: every line where it was, or nothing at all.

``git apply`` looks for a place that fits, reads names as from the top of the repository, and is
not there everywhere. A fix was proven for one state of the files only, so nothing is searched for.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from agent.errors import InfrastructureError, UsageError

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_NO_NEWLINE = "\\ No newline at end of file"


@dataclass
class _Hunk:
    """One place that changes.

    Attributes:
        start: Its first line, from 1.
        before: The lines that are there.
        after: The lines that take their place.
        last: What its last line was: ``-``, ``+``, or a space for both.
    """

    start: int
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    last: str = " "


def patched_files(patch: str, read: Callable[[str], bytes]) -> dict[str, bytes]:
    """What the files of a patch become.

    Args:
        patch: A unified diff of ours (see `agent.patch`).
        read: Gives a file's content by the name that the patch has for it.

    Raises:
        UsageError: A file is not what the patch was made for, or it is no patch of ours.
    """
    files: dict[str, bytes] = {}
    for name, hunks in _parse(patch).items():
        text = _decoded(read(name), name)
        files[name] = _edited(text, hunks, name).encode()
    return files


def apply_patch(patch: str, directory: Path, digests: Mapping[str, str]) -> list[Path]:
    """Change the files of a folder; all of them or none.

    Args:
        patch: A unified diff of ours.
        directory: The folder that its names are relative to.
        digests: SHA-256 of the files as they were diagnosed, as far as that is known.

    Returns:
        The files that were changed.

    Raises:
        UsageError: A file is missing, or differs from what was diagnosed.
        InfrastructureError: A file cannot be written.
    """
    found = _fitting(patch, directory, digests)
    for name, content in found.items():
        _replace(directory / name, content)
    return [directory / name for name in found]


def check_patch(patch: str, directory: Path, digests: Mapping[str, str]) -> list[Path]:
    """The files that `apply_patch` would change; raises what it would raise."""
    return [directory / name for name in _fitting(patch, directory, digests)]


def digest_of(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def _fitting(patch: str, directory: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    found = patched_files(patch, lambda name: _read(directory / name, name))
    for name in found:
        if name in digests and digest_of(_read(directory / name, name)) != digests[name]:
            raise UsageError(
                f"{name} has changed since it was diagnosed: diagnose it again, or look at the "
                "patch and apply it by hand"
            )
    return found


def _parse(patch: str) -> dict[str, list[_Hunk]]:
    files: dict[str, list[_Hunk]] = {}
    hunks: list[_Hunk] = []
    left = 0  # lines before that the hunk still has
    for line in patch.split("\n"):
        if line.startswith("--- ") and left <= 0:
            name = line[4:].split("\t")[0].removeprefix("a/")
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UsageError(f"the patch names {name}, outside of the folder")
            hunks = files.setdefault(name, [])
        elif found := _HUNK.match(line):
            left = int(found[2] or 1)
            hunks.append(_Hunk(int(found[1]) if left else int(found[1]) + 1))
        elif hunks and line == _NO_NEWLINE:
            _strip_newline(hunks[-1])
        elif hunks and line[:1] in (" ", "-", "+"):
            left -= line[0] != "+"
            _put(hunks[-1], line)
    if not any(files.values()):
        raise UsageError("this is no patch: it changes nothing")
    return files


def _put(hunk: _Hunk, line: str) -> None:
    hunk.last = line[0]
    if line[0] != "+":
        hunk.before.append(line[1:] + "\n")
    if line[0] != "-":
        hunk.after.append(line[1:] + "\n")


def _strip_newline(hunk: _Hunk) -> None:
    for lines, ours in ((hunk.before, hunk.last != "+"), (hunk.after, hunk.last != "-")):
        if ours and lines:
            lines[-1] = lines[-1].removesuffix("\n")


def _edited(text: str, hunks: list[_Hunk], name: str) -> str:
    lines = text.split("\n")
    lines = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])

    def stands(start: int, wanted: list[str]) -> bool:
        return lines[start - 1 : start - 1 + len(wanted)] == wanted

    for hunk in hunks:
        if stands(hunk.start, hunk.before):
            continue
        if stands(hunks[0].start, hunks[0].after):
            raise UsageError(f"{name} has the change already, at line {hunks[0].start}")
        raise UsageError(
            f"{name} differs from what was diagnosed, at line {hunk.start}: "
            "diagnose it again, or apply the patch by hand"
        )
    for hunk in reversed(hunks):
        lines[hunk.start - 1 : hunk.start - 1 + len(hunk.before)] = hunk.after
    return "".join(lines)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not what was diagnosed: it is no UTF-8") from error


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {name} here ({error.strerror}): run it in the folder that was diagnosed"
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one go, its mode kept; a link stays a link."""
    path = path.resolve()
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, path.stat().st_mode & 0o7777)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InfrastructureError(f"cannot write {path}: {error.strerror or error}") from error
