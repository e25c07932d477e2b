"""What the host tells the process of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from remedies.treatment import Treatment


@dataclass(frozen=True)
class Job:
    """One run of a script, all paths in scratch.

    Attributes:
        script: The script.
        args: Its arguments.
        directory: Working directory.
        scratch: Folder of the trial, which may hold anything.
        links: Symbolic links that lead to files of the user: to be broken before a write.
        environment: Variables to add where they are missing.
        treatment: What to change in the program.
        seed: Trial seed.
        max_steps: Optimizer steps after which the run is stopped.
        max_batches: Batches after which every pass over a torch ``DataLoader`` ends.
        cpus: Threads that torch uses.
    """

    script: Path
    args: tuple[str, ...]
    directory: Path
    scratch: Path
    links: frozenset[str]
    environment: Mapping[str, str]
    treatment: Treatment = ()
    seed: int = 0
    max_steps: int | None = None
    max_batches: int | None = None
    cpus: int = 1

    @property
    def files(self) -> Path:
        """Folder that the copy of the user's files is in."""
        return self.scratch / "files"

    @property
    def log(self) -> Path:
        """File that takes what the script writes to its standard streams."""
        return self.scratch / "output.log"

    @property
    def temporary(self) -> Path:
        """Folder for temporary files."""
        return self.scratch / "tmp"
