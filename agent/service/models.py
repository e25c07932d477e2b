"""What clients of the service send and get."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.diagnosis import Verdict
from agent.request import Terms
from agent.workload import Limits

State = Literal["queued", "running", "done", "failed", "cancelled"]
Kind = Literal["diagnosis", "triage"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")

_Path = Annotated[str, Field(min_length=1, max_length=1024)]


class Submission(Terms):
    """A diagnosis that is asked for.

    Attributes:
        script: The script, by its path from the root of the service.
        args: Its arguments, one by one: no shell reads them.
        directory: The working directory, by its path from the root; None: the script's folder.
        limits: What one trial may use.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"script": "train.py", "args": [], "observe": True}},
    )

    script: _Path
    args: tuple[str, ...] = Field(default=(), max_length=500)
    directory: _Path | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _has_clean_text(self) -> Submission:
        """Keep out what no command line could hold."""
        for text in _texts(self.model_dump()):
            if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
                raise ValueError("text must be Unicode without NUL characters")
        return self


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = list(value.values()) if isinstance(value, dict) else value
    return [t for item in items for t in _texts(item)] if isinstance(items, list | tuple) else []


class Job(BaseModel):
    """A diagnosis or a triage sweep in the queue of the service.

    Attributes:
        id: Names the job.
        number: Jobs are numbered in their order.
        kind: What it does.
        state: ``queued``, ``running``, or how it ended: ``done`` when there is an answer,
            ``failed`` when there is none, ``cancelled``.
        submitted: Unix time in seconds.
        started: When it was last begun.
        finished: When it ended.
        attempts: How often it was begun; again after a server was killed.
        cancelling: Whether it was asked to stop, but has not yet.
        verdict: Of its diagnosis.
        summary: One sentence about the answer.
        run_id: MLflow run of its diagnosis.
        error: Why it failed, in one line.
        submission: What was asked for, without secrets; None for a sweep.
    """

    id: str
    number: int
    kind: Kind
    state: State
    submitted: float
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    cancelling: bool = False
    verdict: Verdict | None = None
    summary: str = ""
    run_id: str | None = None
    error: str | None = None
    submission: Submission | None = None


class JobPage(BaseModel):
    """Some jobs, the latest first.

    Attributes:
        jobs: The jobs.
        next: Value of ``before`` that gives the next page; None at the end.
    """

    jobs: tuple[Job, ...]
    next: int | None = None


class Problem(BaseModel):
    """Why something was not done.

    Attributes:
        detail: One line that says what to do.
    """

    detail: str


class Health(BaseModel):
    """How the service is.

    Attributes:
        status: ``ok``, or what is missing.
        workers: Diagnoses that can run at a time.
    """

    status: str
    workers: int = 0
