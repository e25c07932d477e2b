import hashlib
import json
import os
import sys
import textwrap
import tomllib
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cluster import connected
from agent.diagnosis import Diagnosis, WorkloadSummary
from agent.launch import Launcher
from agent.progress import Listener, PartStarted, Progress
from agent.request import Request
from agent.snapshot import LARGE, Snapshot
from agent.workload import Limits, Outcome, TrialSpec, Workload
from tests.engines import mlflow_server, postgres  # noqa: F401  # fixtures
from tests.machines import started

NASTY = "net[bold]x[/bold]\x1b[31m|<b>*_`\u202e\n# h"
Write = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def ray() -> Iterator[None]:
    """One local Ray for all tests: a launcher joins what it finds in its process."""
    with connected("local", 4):
        yield


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process in which MLflow finds our entry points, as if just installed."""
    root = Path(__file__).parents[2]
    folder = tmp_path_factory.mktemp("installed")
    information = folder / "debugging_agent_here-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: debugging-agent-here\n")
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"{name} = {target}" for name, target in points["mlflow.run_context_provider"].items()]
    text = "\n".join(["[mlflow.run_context_provider]", *lines, ""])
    (information / "entry_points.txt").write_text(text)
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{root}"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Address of a cluster of one node with two cores, where nothing runs between tests."""
    with started(cpus=2) as machines:
        yield machines.address


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
        script: Path,
        *args: str,
        slots: int = 1,
        large: int = LARGE,
        shelf: Path | None = None,
        ahead: bool = True,
        **limits: float,
    ) -> Launcher:
        workload = Workload(
            script=script,
            args=args,
            directory=project,
            limits=Limits.model_validate({"timeout": 60, **limits}),
        )
        snapshot = Snapshot.take(project, script, large=large)
        return Launcher(snapshot, workload, slots=slots, shelf=shelf, ahead=ahead)

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


class FakeController:
    """Stands in for the controller: keeps the request, answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Diagnosis | BaseException
        self.before: Callable[[], None] = lambda: None
        self.will_answer()

    def will_answer(self, verdict: str = "healthy", **changes: object) -> None:
        found = {"verdict": verdict, "workload": WorkloadSummary(script="train.py", steps=10)}
        self.answer = Diagnosis.model_validate(found | changes)

    def diagnose(self, request: Request, listener: Listener) -> Diagnosis:
        self.requests.append(request)
        listener(PartStarted("observe"))
        self.before()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    @property
    def request(self) -> Request:
        return self.requests[-1]


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeController:
    """Takes the place of the controller, in a working directory that has a train.py."""
    fake = FakeController()
    module = types.ModuleType("agent.controller")
    module.diagnose = fake.diagnose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "agent.controller", module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("train.py").write_text("print('loss=1')\n")
    return fake


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all: its first use takes seconds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def diagnosed(ray: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Diagnosis]:
    """Diagnoses a script."""
    from agent.controller import diagnose  # After a test may have put a fake in its place.

    monkeypatch.setenv("AGENT_HOME", str(home))

    def run(
        script: Path,
        *args: str,
        listener: Callable[[Progress], None] = lambda progress: None,
        timeout: float = 120,
        **options: object,
    ) -> Diagnosis:
        workload = Workload(
            script=script, args=args, directory=script.parent, limits=Limits(timeout=timeout)
        )
        request = Request.model_validate({"workload": workload, "slots": 2, **options})
        return diagnose(request, listener)

    return run


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Gives the one line on stderr, with nothing on stdout."""

    def complaint() -> str:
        captured = capsys.readouterr()
        assert captured.out == ""
        lines = [line for line in captured.err.splitlines() if line.startswith("agent: ")]
        assert len(lines) == 1, captured.err
        return lines[0]

    return complaint


@pytest.fixture
def diagnosis() -> Callable[..., Diagnosis]:
    """Makes the diagnosis of fixed.json, with changes."""
    found = json.loads(Path(__file__).with_name("fixed.json").read_text())
    return lambda **changes: Diagnosis.model_validate(found | changes)


@pytest.fixture
def nasty(diagnosis: Callable[..., Diagnosis]) -> Diagnosis:
    """A diagnosis in which whatever a script can name is made to break what shows it."""
    whole = diagnosis()
    evil = [{"remedy": "R101", "name": NASTY, "target": NASTY, "params": {"to": NASTY}}]
    return diagnosis(
        summary=NASTY,
        workload=whole.workload.model_dump() | {"script": NASTY, "args": [NASTY]},
        symptoms=[whole.symptoms[0].model_dump() | {"where": NASTY, "message": NASTY}],
        tried=[whole.tried[0].model_dump() | {"treatment": evil, "reason": NASTY}],
        fix=whole.fix.model_dump() | {"treatment": evil, "advice": NASTY, "patch": NASTY + "```"},
        mlflow={"tracking_uri": NASTY, "experiment_id": NASTY, "run_id": NASTY},
    )
