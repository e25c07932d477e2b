"""Figures for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.service.models import State

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Telemetry:
    """What is measured in one server.

    Args:
        counts: Gives the jobs by state.
        workers: Gives the workers that can take jobs.
        most: Jobs that may wait.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self, counts: Callable[[], Mapping[str, int]], workers: Callable[[], int], most: int
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_State(counts, workers, most))
        names = ("method", "route", "status")
        self._requests = Counter(
            "agent_http_requests", "Requests that were answered.", names, registry=self._registry
        )
        self._seconds = Histogram(
            "agent_http_request_seconds",
            "Time until the first byte of an answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def page(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request."""
        # The pattern of the address: names of jobs would make a figure for each.
        route = getattr(scope.get("route"), "path", "other")
        self._requests.labels(_method(scope["method"]), route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class Measured:
    """Middleware that counts requests."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._telemetry.note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, sending)


class _State(Collector):
    def __init__(
        self, counts: Callable[[], Mapping[str, int]], workers: Callable[[], int], most: int
    ) -> None:
        self._counts = counts
        self._workers = workers
        self._most = most

    def collect(self) -> Iterable[Metric]:
        counts = self._counts()
        jobs = GaugeMetricFamily("agent_jobs", "Jobs in the database, by state.", labels=["state"])
        for state in get_args(State):
            jobs.add_metric([state], counts.get(state, 0))
        yield jobs
        yield GaugeMetricFamily("agent_queue_limit", "Jobs that may wait.", value=self._most)
        told = "Workers of this server that can take jobs."
        yield GaugeMetricFamily("agent_workers_ready", told, value=self._workers())


def _method(method: str) -> str:
    return method if method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS") else "other"
