"""Lays out tar archives."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Collection
from pathlib import Path


def extract(archive: tarfile.TarFile, into: Path, only: Collection[str] | None = None) -> None:
    """Lay out all members as they are, or those of some names.

    Before Python 3.11.4, ``extractall`` takes no ``filter``; since 3.14, it has one by default.
    """
    archive.extraction_filter = lambda member, _: member
    chosen = None if only is None else [member for member in archive if member.name in only]
    archive.extractall(into, chosen)


def leads_out(folder: Path) -> Path | None:
    """The first symbolic link in a folder that leads out of it; None if none does."""
    inside = os.path.realpath(folder)
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            link = Path(at, name)
            if link.is_symlink() and not Path(os.path.realpath(link)).is_relative_to(inside):
                return link.relative_to(folder)
    return None
