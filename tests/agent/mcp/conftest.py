"""A desk over a world without training, and a client that plays it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from agent.diagnosis import Diagnosis, LedgerEntry
from agent.experience import NONE
from agent.mcp.desk import Desk, Terms
from agent.mcp.leash import STOPPED, Leash
from agent.mcp.server import make_server
from agent.workload import Outcome, TrialSpec
from probes.trace import Event, Trace
from remedies.treatment import Treatment
from tests.agent.made_up import MadeUp, Rule, SickBelow, factor

LOWER = {"remedy": "R301", "params": {"factor": 0.01}}
Script = Callable[["Player"], Awaitable[None]]


def by_a_lower_rate(treatment: Treatment) -> float:
    return {0.01: 0.97}.get(round(factor(treatment), 6), 0.2)


class World(MadeUp):
    """Answers at once, but for seeds on which a treated run never ends by itself."""

    def __init__(self, leash: Leash, rule: Rule, endless: set[int], also_untreated: bool) -> None:
        super().__init__(rule)
        self.leash = leash
        self.endless = endless
        self._also_untreated = also_untreated
        self.hanging: dict[int, TrialSpec] = {}
        self.open = True
        self.pulls = 0

    def __exit__(self, *error: object) -> None:
        self.open = False

    @property
    def pending(self) -> set[int]:
        return {number for number, _ in self._reports} | set(self.hanging)

    def submit(self, spec: TrialSpec) -> None:
        self.leash.take()
        if spec.seed in self.endless and (spec.treatment or self._also_untreated):
            self.ran.append(spec)
            self.hanging[spec.number] = spec
        else:
            super().submit(spec)

    def cancel(self, number: int) -> None:
        if (spec := self.hanging.pop(number, None)) is not None:
            if self.pulls:  # Somebody is in a hurry.
                self.pulls -= 1
                self.leash.pull()
            end: list[Event] = [{"event": "ending", "status": "cancelled", "steps": 3}]
            self._reports.append((number, Outcome(spec, Trace.of(end), 0.0, 1.0)))

    def poll(self, timeout: float = 0.5) -> list[tuple[int, Outcome]]:
        if self.leash.gave_way():
            raise KeyboardInterrupt(STOPPED)
        return super().poll() if self._reports else []

    @contextmanager
    def over(self, snapshot: object) -> Iterator[World]:
        yield self


class Book:
    """Stands in for the ledger.

    Attributes:
        kept: The diagnoses that were finished.
        aborted: Why the others were not.
    """

    kept: list[Diagnosis]
    aborted: list[str]
    known: list[Outcome] = []
    experience = NONE
    settled = None
    entry = LedgerEntry(tracking_uri="sqlite:///x", experiment_id="1", run_id="abc")

    def __init__(self, *where: object) -> None: ...
    def check(self) -> None: ...
    def open(self, *what: object) -> None: ...
    def recall(self, spec: TrialSpec, patched: str = "") -> None: ...
    def record(self, outcome: object, part: str) -> None: ...
    def record_patched(self, outcome: object, identity: str) -> None: ...
    def close(self) -> None: ...

    def finish(self, diagnosis: Diagnosis, markdown: str) -> None:
        self.kept.append(diagnosis)

    def abort(self, reason: str, killed: bool | None = None) -> None:
        self.aborted.append(reason)


class Player:
    """A client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.progress: list[tuple[float, str]] = []

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments, progress_callback=self._hear)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        return str(result.content[0].text)  # type: ignore[union-attr]

    async def _hear(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, message or ""))


class Bench:
    """Desks over made-up worlds.

    Attributes:
        worlds: The worlds of the sessions, in their order.
        endless: Seeds on which all runs of the worlds to come hang.
        rule: Scores a treatment.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.worlds: list[World] = []
        self.endless: set[int] = set()
        self.rule: Rule = by_a_lower_rate
        self.book = Book

    def desk(self, **terms: Any) -> Desk:
        def launch(leash: Leash, snapshot: object, request: object) -> Any:
            self.worlds.append(World(leash, self.rule, set(self.endless), bool(self.endless)))
            return self.worlds[-1]

        return Desk(Terms(self.root, **terms), launch)

    def play(self, script: Script, mode: str = "legacy", **terms: Any) -> None:
        """Let a client do something with a server of its own."""

        async def main() -> None:
            with anyio.fail_after(30):
                async with Client(make_server(self.desk(**terms)), mode=mode) as client:
                    await script(Player(client))

        anyio.run(main)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    root = tmp_path / "root"
    root.mkdir()
    (root / "train.py").write_text("print('loss=1')\n")
    made = Bench(root)
    Book.kept, Book.aborted = [], []
    monkeypatch.setattr("agent.controller.Ledger", Book)
    monkeypatch.setattr("agent.controller.probes", [SickBelow("P303")])
    return made
