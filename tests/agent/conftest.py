import hashlib
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.launch import Launcher, connected
from agent.snapshot import LARGE, Snapshot
from agent.workload import Limits, Outcome, TrialSpec, Workload

Write = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def ray() -> Iterator[None]:
    """One local Ray for all tests: a launcher joins what it finds in its process."""
    with connected("local", 4):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def write(project: Path) -> Write:
    """Writes a file of the project."""

    def write(name: str, text: str) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def contents(project: Path) -> Callable[[], dict[str, str]]:
    """Gives a digest of every file of the project, to compare before and after."""

    def contents() -> dict[str, str]:
        files = sorted(path for path in project.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return contents


@pytest.fixture
def launcher(ray: None, project: Path) -> Callable[..., Launcher]:
    """Makes a launcher for a script of the project."""

    def launcher(
        script: Path, *args: str, slots: int = 1, large: int = LARGE, **limits: float
    ) -> Launcher:
        workload = Workload(
            script=script,
            args=args,
            directory=project,
            limits=Limits.model_validate({"timeout": 60, **limits}),
        )
        return Launcher(Snapshot.take(project, script, large=large), workload, slots=slots)

    return launcher


@pytest.fixture
def outcomes() -> Callable[..., list[Outcome]]:
    """Runs trials to their end."""

    def outcomes(launcher: Launcher, *specs: TrialSpec) -> list[Outcome]:
        for spec in specs:
            launcher.submit(spec)
        found: dict[int, Outcome] = {}
        while launcher.pending:
            for number, report in launcher.poll():
                if isinstance(report, Outcome):
                    found[number] = report
        return [found[spec.number] for spec in specs]

    return outcomes
