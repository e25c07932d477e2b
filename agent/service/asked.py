"""Turns what a client asks for into the request of a diagnosis, within the operator's bounds."""

from __future__ import annotations

import shlex
from pathlib import Path

from agent.errors import UsageError
from agent.options import build_request
from agent.redact import HIDDEN, find_secrets
from agent.request import Request
from agent.rooted import NotThere, Outside, resolve_below
from agent.service.models import Submission
from agent.service.settings import Bounds

_MOST_SEED = 2**31 - 1


def request_of(asked: Submission, bounds: Bounds) -> Request:
    """The request of a diagnosis, checked as `agent diagnose` checks its command line.

    Args:
        asked: What the client asks for.
        bounds: What it may ask for.

    Raises:
        UsageError: Something does not exist, makes no sense, or is more than is allowed.
    """
    script = _below(bounds.root, asked.script, "script")
    if script.suffix != ".py" or not script.is_file():
        raise UsageError(f"script: {asked.script} is no Python file")
    directory = script.parent
    if asked.directory is not None:
        directory = _below(bounds.root, asked.directory, "directory")
        if not directory.is_dir():
            raise UsageError(f"directory: {asked.directory} is no folder")
    _check_bounds(asked, bounds)
    options = asked.model_dump(exclude={"script", "args", "directory", "limits", "mode", "good"})
    options |= asked.limits.model_dump()
    if asked.metric is not None and asked.mode is not None:
        options["metric"] += f":{asked.mode}"
    if asked.good is not None:
        options["good"] = shlex.join(asked.good)
    options["memory"] = asked.limits.memory or bounds.memory
    options["slots"] = max(1, bounds.cpus // asked.limits.cpus)
    try:
        request = build_request(str(script), asked.args, options, directory)
    except UsageError as error:
        # Where the root lies is not the client's business.
        raise UsageError(str(error).replace(f"{bounds.root}/", "")) from error
    from agent.policies import policies

    if policies[request.policy].talks:
        raise UsageError(f"policy: {request.policy} needs a terminal")
    where = bounds.model_dump(include={"tracking_uri", "storage", "experiment"})
    return request.model_copy(update=where)


def without_secrets(asked: Submission) -> Submission:
    """The submission as it may be shown to others."""
    secrets = find_secrets([*asked.args, *(asked.good or ())])

    def shown(words: tuple[str, ...]) -> tuple[str, ...]:
        for secret in secrets:
            words = tuple(word.replace(secret, HIDDEN) for word in words)
        return words

    good = shown(asked.good) if asked.good is not None else None
    return asked.model_copy(update={"args": shown(asked.args), "good": good})


def _below(root: Path, text: str, what: str) -> Path:
    try:
        return resolve_below(root, Path(text))
    except (NotThere, Outside) as error:  # The same words: nobody learns what lies elsewhere.
        raise UsageError(f"{what}: there is no {text} below the root of this service") from error


def _check_bounds(asked: Submission, bounds: Bounds) -> None:
    allowed = {
        "budget": (asked.budget, bounds.budget),
        "time_budget": (asked.time_budget, bounds.seconds),
        "seed_base": (asked.seed_base, _MOST_SEED),
        "limits.timeout": (asked.limits.timeout, bounds.seconds),
        "limits.cpus": (asked.limits.cpus, bounds.cpus),
        "limits.gpus": (asked.limits.gpus, bounds.gpus),
    }
    if asked.limits.memory is not None and bounds.memory is not None:
        allowed["limits.memory"] = (asked.limits.memory, bounds.memory)
    for name, (value, most) in allowed.items():
        if value > most:
            raise UsageError(f"{name}: at most {most:g} on this service")
