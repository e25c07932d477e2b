"""The Ray cluster: joined or started."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.errors import InfrastructureError
from agent.head import Head

_CONNECT_TIMEOUT = 5.0
_LOOK = 3.0  # seconds
_PULSE = 15.0
"""Seconds without an answer after which a cluster is gone."""
_LONGEST = 300  # characters of what Ray complains of, which goes over several lines

_users: list[Connection] = []
_opened = contextlib.ExitStack()
_head: Head | None = None


class Connection:
    """Ray for whom it has not to be there at once.

    Args:
        address: The cluster to join, or ``local`` for one of our own.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def ready(self, timeout: float = 0.0) -> bool:
        """Whether `join` need not wait for its start; waits up to ``timeout`` seconds for that.

        Raises:
            InfrastructureError: It does not start.
        """
        return _initialised() or _head is None or _head.address(timeout) is not None

    def join(self) -> None:
        """Connect this process to it.

        Raises:
            InfrastructureError: It cannot be reached, or does not start.
        """
        if _initialised():
            return
        address = _head.wait() if _head is not None else self._address
        with tempfile.TemporaryDirectory(prefix="agent-") as folder, _with_token():
            initialise(address, Path(folder))
            import ray

        _opened.callback(ray.shutdown)


@contextlib.contextmanager
def _with_token() -> Iterator[None]:
    """Have Ray show the token that clusters ask for since 2.59, where there is one.

    Ray does so by itself only for the cluster that it finds or starts; what its documentation
    offers for the others, ``RAY_AUTH_MODE``, is read at its import, which has been before.
    """
    name = "RAY_AUTH_MODE"
    before = os.environ.get(name)
    with contextlib.suppress(ImportError):  # It is not public: another Ray may have none.
        from ray._private.authentication import authentication_token_setup as setup

        logging.getLogger("ray").setLevel(logging.ERROR)  # As it will be: it tells of the token.
        setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        yield
    finally:
        if before is None:  # The environment is the user's, and part of what a trial is.
            os.environ.pop(name, None)


@contextlib.contextmanager
def connecting(address: str | None, cpus: int) -> Iterator[Connection]:
    """Ray, which is started beside where that has to be; ended with all that it runs.

    Args:
        address: As in `address_of`.
        cpus: Cores that a local one must claim to have.

    Raises:
        InfrastructureError: No cluster answers at the address.
    """
    global _head
    address = address_of(address)
    connection = Connection(address)
    _try_connect(address)
    if must_start(address) and _head is None:
        _head = Head(cpus)
    _users.append(connection)
    try:
        yield connection
    finally:
        _users.remove(connection)
        if not _users:  # The last one ends what the first one has opened; nothing if it did not.
            _opened.close()
            head, _head = _head, None
            if head is not None:
                head.end()


@contextlib.contextmanager
def connected(address: str | None, cpus: int) -> Iterator[None]:
    """A connection to Ray, ended with all that was started for it; see `connecting`."""
    with connecting(address, cpus) as connection:
        connection.join()
        yield


def address_of(asked: str | None) -> str:
    """The cluster to join: what is asked for, or ``RAY_ADDRESS``, or ``local`` for none."""
    return asked or os.environ.get("RAY_ADDRESS") or "local"


def must_start(address: str | None) -> bool:
    """Whether Ray has to be started: neither is there one in this process, nor is one to join."""
    return address_of(address) == "local" and not _initialised()


def _initialised() -> bool:
    ray = sys.modules.get("ray")
    return bool(ray and ray.is_initialized())


def resources() -> tuple[str, float, float, float]:
    """Address, cores, GPUs and bytes of memory of the Ray that this process is connected to."""
    import ray

    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    address: str = ray.get_runtime_context().gcs_address
    cores, gpus, memory = (there.get(name, 0.0) for name in ("CPU", "GPU", "memory"))
    return address, cores, gpus, memory


def initialise(address: str, folder: Path, **options: Any) -> None:
    """Have this process be a client of Ray.

    Args:
        address: Where it is; ``local`` to start it.
        folder: Becomes the current folder meanwhile: workers put theirs first on their search
            path, and the user's may hold an agent.py.
        options: Of ``ray.init``.

    Raises:
        InfrastructureError: That cannot be.
    """
    import ray

    for last in (False, True):
        try:
            with contextlib.chdir(folder):
                ray.init(
                    address=address, logging_level=logging.ERROR, log_to_driver=False, **options
                )
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
