"""The Ray cluster: joined or started, and how many trials fit on its nodes."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import InfrastructureError

_CONNECT_TIMEOUT = 5.0
_LOOK = 3.0  # seconds
_PULSE = 15.0
"""Seconds without an answer after which a cluster is gone."""
_OBJECT_STORE = 100 * 2**20
_GIB = 2**30
_LONGEST = 300  # characters of what Ray complains of, which goes over several lines

_users: list[str] = []
_opened = contextlib.ExitStack()


@contextlib.contextmanager
def connected(address: str | None, cpus: int) -> Iterator[None]:
    """A connection to Ray, ended with all that was started for it."""
    address = address_of(address)
    if address != "local":
        _try_connect(address)
        # Local clusters ask for a token since Ray 2.59, and this is read at import.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if not ray.is_initialized():
        folder = Path(tempfile.mkdtemp(prefix="agent-", dir=_short_folder()))
        _opened.callback(shutil.rmtree, folder, ignore_errors=True)
        _opened.callback(ray.shutdown)
        # Workers put the current folder first on their search path: it may hold an agent.py.
        try:
            with contextlib.chdir(folder):
                _init(address, cpus, folder)
        except BaseException:
            _opened.close()
            raise
    _users.append(address)
    try:
        yield
    finally:
        _users.pop()
        if not _users:  # The last one ends what the first one has opened; nothing if it did not.
            _opened.close()


def address_of(asked: str | None) -> str:
    """The cluster to join: what is asked for, or ``RAY_ADDRESS``, or ``local`` for none."""
    return asked or os.environ.get("RAY_ADDRESS") or "local"


def must_start(address: str | None) -> bool:
    """Whether Ray has to be started: neither is there one in this process, nor is one to join."""
    ray = sys.modules.get("ray")
    return address_of(address) == "local" and not (ray and ray.is_initialized())


@dataclass(frozen=True)
class Size:
    """What is set aside for one trial.

    Attributes:
        cpus: Cores.
        gpus: GPUs, as Ray counts them.
        memory: Bytes; None where none are set aside.
    """

    cpus: int
    gpus: float
    memory: int | None = None

    def __str__(self) -> str:
        return _described(self.resources)

    @property
    def resources(self) -> dict[str, float]:
        """By Ray's names."""
        wanted = {"CPU": float(self.cpus), "GPU": self.gpus}
        return wanted | ({"memory": float(self.memory)} if self.memory is not None else {})


def resources() -> tuple[str, float, float, float]:
    """Address, cores, GPUs and bytes of memory of the Ray that this process is connected to."""
    import ray

    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    address: str = ray.get_runtime_context().gcs_address
    cores, gpus, memory = (there.get(name, 0.0) for name in ("CPU", "GPU", "memory"))
    return address, cores, gpus, memory


def places(size: Size) -> int:
    """How many trials the nodes have room for at a time, were they all free.

    Raises:
        InfrastructureError: No node has room for one.
    """
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    wanted = size.resources
    found = sum(_room(node, wanted) for node in alive)
    if not found:
        each = ({name: node.get(name, 0) for name in wanted} for node in alive)
        have = "; ".join(sorted({_described(node) for node in each}))
        raise InfrastructureError(
            f"no node of the Ray cluster has room for a trial of {size}: they have {have}"
        )
    return found


def _room(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    return min(int(node.get(name, 0) / much) for name, much in wanted.items() if much)


def _described(resources: Mapping[str, float]) -> str:
    words = [f"{resources['CPU']:g} CPU", f"{resources['GPU']:g} GPU"]
    if "memory" in resources:
        words.append(f"{resources['memory'] / _GIB:.1f} GiB")
    return " and ".join(words)


def _init(address: str, cpus: int, folder: Path) -> None:
    import ray

    local: dict[str, Any] = {}
    if address == "local":
        local = {
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_temp_dir": str(folder),
        }
    for last in (False, True):
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **local)
            return
        except Exception as error:
            # Ray gives a node of its own 30 seconds to start, which a busy machine may need twice.
            if last or "timed out during startup" not in str(error):
                told = " ".join(str(error).split())[:_LONGEST]
                raise InfrastructureError(f"Ray at {address}: {told}") from error
            ray.shutdown()


class Pulse:
    """Notices that the cluster is gone.

    Ray itself ends the process that is connected to it, a minute later and without an exception.
    """

    def __init__(self) -> None:
        import ray

        self._address: str = ray.get_runtime_context().gcs_address
        self._felt = self._looked = time.monotonic()

    def feel(self) -> None:
        """See whether it is there, now and then.

        Raises:
            InfrastructureError: It has not been there for a while.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT).close()
            self._felt = now
        except OSError as error:
            if now - self._felt > _PULSE:
                told = f"the Ray cluster at {self._address} does not answer any more"
                raise InfrastructureError(told) from error


def _try_connect(address: str) -> None:
    """Find a dead address at once: Ray itself tries for minutes."""
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if not port.isdigit():  # "auto" and the like.
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(f"no Ray cluster answers at {address}: {reason}") from error


def _short_folder() -> str | None:
    """Paths of Unix sockets may have no more than about 100 characters."""
    return "/tmp" if sys.platform != "win32" else None
