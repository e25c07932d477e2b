"""Real Ray clusters for the tests, of several nodes on this machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.engines import free_port, wait_until

_STORE = 80 * 2**20
# Clusters are joined with a token, and this is read when Ray is imported.
_ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "token"}


class Node:
    """One node of a cluster: a `ray start` with all that it has started."""

    def __init__(self, options: Sequence[str], folder: Path, hidden: Path | None = None) -> None:
        words = [str(Path(sys.executable).parent / "ray"), "start", "--block", *options]
        words.append(f"--object-store-memory={_STORE}")
        if hidden is not None:
            words = [*on_a_small_disk(hidden, 64), *words]
        self._words = words
        self._said = folder / f"said-{len(list(folder.iterdir()))}"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._said.open("wb") as said:
            return subprocess.Popen(
                self._words, env=_ENVIRONMENT, stdout=said, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> None:
        """Wait until it belongs to the cluster."""
        for last in (False, False, True):
            try:
                wait_until(lambda: "Ray runtime started" in self._said.read_text(), self._process)
                return
            except TimeoutError as error:
                # Ray gives a node 30 seconds to start, which a busy machine may need twice.
                error.add_note(self._said.read_text())
                if last or self._process.poll() is None:
                    raise
                self._process = self._start()

    @property
    def raylet(self) -> psutil.Process:
        """What makes it a node; every process of a trial on it descends from this one."""
        children = psutil.Process(self.pid).children()
        return next(child for child in children if child.name() == "raylet")

    def kill(self) -> None:
        """Take the node away, without a word."""
        self.raylet.kill()

    def end(self) -> None:
        """Not by "ray stop", which ends every other Ray of this machine, too."""
        if self._process.poll() is not None:
            return
        below = psutil.Process(self.pid).children(recursive=True)
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # Without a head, it knows no end.
            self._process.kill()
            self._process.wait()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class Machines:
    """A cluster.

    Attributes:
        address: Of its head.
    """

    def __init__(self, folder: Path, cpus: int) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._folder = folder
        head = ("--head", f"--port={port}", f"--num-cpus={cpus}", f"--temp-dir={folder / 'ray'}")
        local = ("--node-ip-address=127.0.0.1", "--include-dashboard=false")
        self.nodes = [Node([*head, *local], folder)]
        self.nodes[0].wait()

    def add(self, cpus: int, hidden: Path | None = None) -> Node:
        """Start one more node, and wait for it.

        Of two nodes of one machine that start at the same time, one often does not come up.

        Args:
            cpus: Its cores.
            hidden: A folder that does not exist for it, as on a machine of its own.
        """
        options = (f"--address={self.address}", f"--num-cpus={cpus}")
        self.nodes.append(Node(options, self._folder, hidden))
        self.nodes[-1].wait()
        return self.nodes[-1]

    def end(self) -> None:
        """End all nodes, the head last."""
        for node in reversed(self.nodes):
            node.end()


@contextmanager
def started(cpus: int) -> Iterator[Machines]:
    """A cluster of a head alone.

    Args:
        cpus: Cores of the head.
    """
    # Short: sockets live below it.
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        machines = Machines(Path(folder), cpus)
        try:
            yield machines
        finally:
            machines.end()


def can_mount() -> bool:
    """Whether a process can be started that sees a folder differently."""
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").touch()
        looked = [*on_a_small_disk(Path(folder), 64), "ls", folder]
        answer = subprocess.run(looked, capture_output=True, text=True)
    return answer.returncode == 0 and answer.stdout == ""


def on_a_small_disk(folder: Path, kilobytes: int) -> list[str]:
    """What to put before a command for which a folder is to be a disk of its own, and empty."""
    mount = f"mount -t tmpfs -o size={kilobytes}k none {shlex.quote(str(folder))}"
    user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--mount", *user, "sh", "-c", f'{mount} && exec "$@"', "sh"]
