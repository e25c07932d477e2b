"""The HTTP API: what is asked at which address, and how errors are told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException

from agent.errors import UsageError
from agent.service.models import Health, Problem
from agent.service.routes import router
from agent.service.security import Access, Guard
from agent.service.state import Service, ServiceHere
from agent.service.telemetry import Measured, Telemetry
from agent.text import plain

_LARGEST = 64 * 2**10
_log = logging.getLogger("agent.service")
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(service: Service, access: Access, lifespan: Lifespan | None = None) -> FastAPI:
    """The application.

    Args:
        service: What it answers from.
        access: Who may ask, and how often.
        lifespan: What runs for as long as the server does.
    """
    app = FastAPI(
        title="debugging-agent",
        summary="Finds out why PyTorch training scripts train badly, and proves the fix.",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # Their pages load programs from elsewhere.
        redoc_url=None,
        max_body_size=_LARGEST,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(router)
    telemetry = Telemetry(service.queue.counts, lambda: service.crew.ready, service.most)
    _add_health(app, telemetry)
    _add_errors(app)
    app.add_middleware(Guard, access=access)
    app.add_middleware(Measured, telemetry=telemetry)
    return app


def _add_health(app: FastAPI, telemetry: Telemetry) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> Health:
        """Whether the server answers at all."""
        return Health(status="ok")

    @app.get("/readyz", tags=["health"], responses={503: {"model": Health}})
    def readyz(service: ServiceHere, response: Response) -> Health:
        """Whether there is a queue, and anybody who works on it."""
        service.queue.counts()
        if service.crew.ready:
            return Health(status="ok", workers=service.crew.ready)
        response.status_code = 503
        return Health(status=plain(service.crew.trouble) or "starting")

    @app.get("/metrics", tags=["health"], responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(telemetry.page(), media_type=telemetry.content_type)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        told = str(first["msg"]).removeprefix("Value error, ")
        return _problem(422, f"{place}: {told}" if place else told)

    @app.exception_handler(UsageError)
    async def unusable(request: Request, error: UsageError) -> JSONResponse:
        return _problem(422, str(error))

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(SQLAlchemyError)
    async def away(request: Request, error: SQLAlchemyError) -> JSONResponse:
        _log.error("the database of the queue fails: %s", str(error).partition("\n")[0])
        told = "the database of the queue does not answer: try again"
        return _problem(503, told, {"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return _problem(500, f"unexpected {type(error).__name__}: the log of the server tells more")


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    told = Problem(detail=plain(detail)[:2000])
    return JSONResponse(told.model_dump(), status, headers=headers)
