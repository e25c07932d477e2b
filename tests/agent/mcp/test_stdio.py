"""A real client over stdin and stdout: from a sick script to a patch that is applied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import psutil
import pytest
from mcp import Client, StdioServerParameters

from agent.ledger.archive import Archive
from tests.agent.mcp.conftest import Player

ROOT = Path(__file__).parents[3]
TRAIN = """
    import os
    import sys
    import time
    import torch
    if len(sys.argv) > 2:
        open(sys.argv[2], "a").write(f"{os.getpid()}\\n")
    torch.manual_seed(0)
    inputs = torch.randn(256, 6)
    targets = inputs @ torch.randn(6, 1) + 0.3 * torch.randn(256, 1)
    model = torch.nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    print("this is no message of any protocol", flush=True)
    for epoch in range(10):
        for rows in torch.randperm(200).split(25):
            loss = torch.nn.functional.mse_loss(model(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            time.sleep(float((sys.argv[1:] or ["0"])[0]))
        with torch.no_grad():
            error = torch.nn.functional.mse_loss(model(inputs[200:]), targets[200:]).item()
        print(f"epoch {epoch} loss={loss.item():.4f} val_loss={error:.4f}")
"""
WRITE = Callable[[str, str], Path]


@pytest.fixture
def server(home: Path, write: WRITE) -> StdioServerParameters:
    """Starts `agent mcp` over a folder that has train.py."""
    folder = write("train.py", TRAIN).parent
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {"AGENT_HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "agent", "mcp", "--root", str(folder), "--slots", "1"],
        env=environment,
    )


def play(server: StdioServerParameters, script: Callable[[Player], Awaitable[None]]) -> None:
    garbage: list[object] = []

    async def hear(message: object) -> None:
        if isinstance(message, Exception):  # Something on stdout that is no message.
            garbage.append(message)

    async def main() -> None:
        async with Client(server, message_handler=hear) as client:
            await script(Player(client))

    anyio.run(main)
    assert not garbage


@pytest.mark.slow
def test_from_a_sick_script_to_an_accepted_patch(
    server: StdioServerParameters, project: Path, home: Path
) -> None:
    runs: list[str] = []

    async def policy(call: Player) -> None:
        seen = await call("observe", script="train.py")
        assert seen["verdict"] == "sick" and seen["metric"]["name"] == "val_loss"
        for offer in (await call("candidates"))["candidates"]:
            treatment = [{"remedy": offer["remedy"], "target": offer["target"]}]
            if (await call("try_treatment", treatment=treatment))["recovers"]:
                break
        assert (await call("confirm", treatment=treatment))["confirmed"]
        patch = await call("patch")
        assert patch["directory"] == str(project)
        applied = ["git", "apply", "-"]
        subprocess.run(applied, input=patch["patch"], cwd=project, text=True, check=True)
        runs.append((await call("report"))["run_id"])
        assert call.progress

    play(server, policy)
    assert "zero_grad()" in (project / "train.py").read_text()
    assert Archive(None, home).diagnosis(runs[0]).verdict == "fixed"


@pytest.mark.slow
def test_who_goes_away_in_a_trial_leaves_a_record_and_no_process(
    server: StdioServerParameters, home: Path, project: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"

    def announced(call: Player) -> bool:
        return any("zero-gradients" in message for _, message in call.progress)

    async def give_up_once_it_runs(call: Player, number: int) -> None:
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while len(pids.read_text().split()) < number or not announced(call):
                    await anyio.sleep(0.1)
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await call("try_treatment", treatment=[{"remedy": "R801"}])
            pytest.fail("it has ended, and was not announced")

    async def policy(call: Player) -> None:
        await call("observe", script="train.py", args=["0.08", str(pids)], metric="val_loss")
        await give_up_once_it_runs(call, 2)
        tried = await call("candidates")
        assert tried["tried"] == []
        ran = pids.read_text().split()
        assert len(ran) == 2 and not any(psutil.pid_exists(int(pid)) for pid in ran)
        await give_up_once_it_runs(call, 3)

    play(server, policy)  # The client kills what it knows of the server within seconds.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _running(project):
        time.sleep(0.5)
    assert not _running(project)
    assert not any(psutil.pid_exists(int(pid)) for pid in pids.read_text().split())
    entries = list(Archive(None, home).waiting("agent"))
    assert "unresolved" in [entry.verdict for entry in entries]


@pytest.mark.slow
def test_it_speaks_nothing_but_the_protocol_and_ends_with_who_started_it(
    server: StdioServerParameters, project: Path
) -> None:
    me = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x"}}
    me["clientInfo"] |= {"version": "1"}  # type: ignore[operator]
    bad = {"name": "observe", "arguments": {"script": "../x.py"}}
    with subprocess.Popen(
        [server.command, *server.args],
        env=os.environ | (server.env or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        asked = [("initialize", me), ("tools/call", bad)]
        for number, (method, params) in enumerate(asked):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(f"{json.dumps(message)}\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            assert told["id"] == number and "result" in told
        assert told["result"]["isError"] and "no such script" in str(told["result"]["content"])
        process.kill()  # The pipes stay open: nobody tells the child of it.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _running(project):
            time.sleep(0.1)
        assert not _running(project)
        assert process.stdout.read() == ""


def _running(project: Path) -> list[str]:
    """Processes that serve the project."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "mcp" in line and str(project) in line and process.status() != psutil.STATUS_ZOMBIE:
            found.append(" ".join(line))
    return found
