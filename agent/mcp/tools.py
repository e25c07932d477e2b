"""The tools that a model sees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from agent.diagnosis import Diagnosis
from agent.mcp import acts, answers, models
from agent.mcp.desk import Desk
from agent.mcp.follow import follow, refusing
from agent.mcp.session import Session
from agent.mcp.treatments import WantedAction

Result = TypeVar("Result")

Handle = Annotated[
    str, Field(description="What observe gave as `session`; needed over HTTP, else optional.")
]
Wanted = Annotated[
    list[WantedAction],
    Field(description="Remedies that are applied together; usually one.", max_length=8),
]


class Tools:
    """The tools over the sessions of a desk; their docstrings are what a model reads.

    Args:
        desk: Opens the sessions.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def observe(
        self,
        context: Context[Any, Any],
        script: Annotated[str, Field(description="Path of the training script: x/train.py.")],
        args: Annotated[
            list[str], Field(description="Arguments of the script.", max_length=200)
        ] = [],  # noqa: B006  # Never changed; the schema shows the default.
        metric: Annotated[
            str,
            Field(
                description="Metric that the script prints or logs and by which runs are judged: "
                "val_acc, or val_loss:min. Empty to choose the likeliest."
            ),
        ] = "",
        directory: Annotated[
            str, Field(description="Working directory; empty for the folder of the script.")
        ] = "",
        also: Annotated[
            list[str],
            Field(description="Codes of remedies to offer even if the run looks healthy."),
        ] = [],  # noqa: B006
    ) -> models.Observed:
        """Run a PyTorch training script once, untreated, and read its symptoms. Call this first.

        It begins a session; there is one at a time. Takes as long as the script runs.
        """
        begin = partial(
            self._desk.open,
            script,
            args,
            directory,
            metric=metric or None,
            offer=tuple(also),
        )
        with refusing():
            session = await anyio.to_thread.run_sync(begin)
        goes_on = await follow(context, session, session.observed, session.abandon)
        found = await self._known(context, session) if goes_on else session.finished.result()
        return answers.observed(session, found)

    async def explain(
        self, code: Annotated[str, Field(description="Code or name of a probe or a remedy: P101.")]
    ) -> models.Explained:
        """Explain a symptom or a remedy: what it means, when it helps, what belongs together."""
        with refusing():
            return await anyio.to_thread.run_sync(answers.explained, code)

    async def candidates(
        self, context: Context[Any, Any], session: Handle = ""
    ) -> models.Candidates:
        """List the remedies that could be tried on the program, the likeliest first."""
        return await self._act(context, session, acts.candidates)

    async def try_treatment(
        self,
        context: Context[Any, Any],
        treatment: Wanted,
        seeds: Annotated[
            int,
            Field(
                description="Seeds to try it on. One run for the first; two runs, untreated and "
                "treated, for each further one.",
                ge=1,
                le=5,
            ),
        ] = 1,
        session: Handle = "",
    ) -> models.Tried:
        """Run the script with a treatment applied from outside, against the untreated run.

        Takes as long as the script runs, for each seed. A try proves nothing: confirm does.
        """
        return await self._act(context, session, acts.try_treatment, treatment, seeds)

    async def confirm(
        self, context: Context[Any, Any], treatment: Wanted, session: Handle = ""
    ) -> models.Confirmed:
        """Prove a treatment that was tried: treated against untreated on several fresh seeds.

        Takes two runs of the script for each seed. The first treatment that is confirmed is the
        fix: then nothing more can be tried, and patch gives it.
        """
        return await self._act(context, session, acts.confirm, treatment)

    async def patch(self, context: Context[Any, Any], session: Handle = "") -> models.Patch:
        """Give the confirmed fix as a unified diff. The patched script is run to check it.

        Cancelling this does not end the check: call it again. Apply the diff with `git apply` in
        the directory that is named.
        """
        found = self._find(session)
        if found.is_open:
            raise ToolError("no fix is confirmed yet: confirm a treatment first")
        return answers.patch(found, await follow(context, found, found.finished, _go_on))

    async def report(self, context: Context[Any, Any], session: Handle = "") -> models.Report:
        """Tell the whole diagnosis as it stands: symptoms, what was tried, the fix, the cost."""
        found = self._find(session)
        is_open = found.is_open
        return answers.report(await self._known(context, found), is_open)

    async def close(self, context: Context[Any, Any], session: Handle = "") -> models.Report:
        """End the session and record it in MLflow. Needed before another script is observed.

        What runs is stopped. After a confirmed fix, call patch first.
        """
        found = self._find(session)
        found.abandon()
        return answers.report(await follow(context, found, found.finished, _go_on))

    def _find(self, handle: str) -> Session:
        with refusing():
            return self._desk.find(handle)

    async def _act(
        self, context: Context[Any, Any], handle: str, act: Callable[..., Result], *given: Any
    ) -> Result:
        found = self._find(handle)
        with refusing():
            future = found.call(lambda episode: act(found, episode, *given))
        return await follow(context, found, future)

    async def _known(self, context: Context[Any, Any], session: Session) -> Diagnosis:
        """The diagnosis, or where the session goes on, what would follow by now."""
        if not session.is_open:
            return await follow(context, session, session.finished, _go_on)
        with refusing():
            future = session.call(partial(answers.so_far, session))
        return await follow(context, session, future)


def _go_on() -> None:
    """What a client stops waiting for here is done all the same."""
