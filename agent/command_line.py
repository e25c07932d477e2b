"""The command line that asks for a diagnosis again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from agent.request import Request
from agent.workload import Limits

_REPEATED = {"only": "--only", "skip": "--skip", "offer": "--try"}
_VALUES = ("seeds", "seed_base", "budget", "time_budget", "policy", "good_run")


def command_line(request: Request) -> str:
    """What to type, quoted for a shell, in the working directory of the diagnosis.

    Where trials run and are recorded is left out: that is not what a diagnosis depends on.
    """
    return f"cd {shlex.quote(str(request.workload.directory))} && {shlex.join(_words(request))}"


def _words(request: Request) -> Iterator[str]:
    yield from ("agent", "diagnose")
    if request.metric is not None:
        mode = f":{request.mode}" if request.mode else ""
        yield from ("--metric", f"{request.metric}{mode}")
    yield from ("--observe",) if request.observe else ()
    yield from ("--no-experience",) if not request.experience else ()
    yield from ("--fresh",) if request.fresh else ()
    for name, option in _REPEATED.items():
        for value in getattr(request, name):
            yield from (option, value)
    if request.good is not None and request.good_run is None:
        yield from ("--good", shlex.join(request.good))
    for name in _VALUES:
        value = getattr(request, name)
        if value != Request.model_fields[name].default:
            yield from (f"--{name.replace('_', '-')}", _word(value))
    limits = request.workload.limits
    for name, field in Limits.model_fields.items():
        value = getattr(limits, name)
        if value != field.default:
            yield from (f"--{name.replace('_', '-')}", _word(value))
    script, directory = request.workload.script, request.workload.directory
    inside = script.is_relative_to(directory)
    yield str(script.relative_to(directory) if inside else script)
    yield from request.workload.args


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
