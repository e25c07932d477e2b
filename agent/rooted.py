"""Which files may be run for others: those below a folder, wherever symbolic links lead."""

from __future__ import annotations

from pathlib import Path


class NotThere(Exception):
    """There is no such file."""


class Outside(Exception):
    """The file lies elsewhere."""


def resolve_below(root: Path, path: Path) -> Path:
    """The real path of a file or folder below the root.

    Args:
        root: The folder.
        path: A path; a relative one counts from the root.

    Raises:
        NotThere: It does not exist.
        Outside: It is not below the root, once all links are followed.
    """
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise NotThere(str(path)) from error
    if not found.is_relative_to(root.resolve()):
        raise Outside(str(path))
    return found
