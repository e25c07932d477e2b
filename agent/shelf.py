"""The folder that the traces of a diagnosis lie in while it runs, rather than in memory."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_FOLDER = "traces"
_OLD = 7 * 24 * 3600.0  # seconds


@contextlib.contextmanager
def shelf(home: Path) -> Iterator[Path]:
    """A folder of its own for one diagnosis, removed with the diagnosis.

    What a diagnosis that was killed left there is removed a week later.

    Args:
        home: Folder of the embedded stores; it is on a disk, where ``/tmp`` may be memory.
    """
    shelves = home / _FOLDER
    try:
        shelves.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_old(shelves)
        folder = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=shelves))
    except OSError:  # The ledger says what is wrong with that folder, where it needs it.
        folder = Path(tempfile.mkdtemp(prefix="agent-traces-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_old(shelves: Path) -> None:
    for left in shelves.iterdir():
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < time.time() - _OLD:
                shutil.rmtree(left, ignore_errors=True)
