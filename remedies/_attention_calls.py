"""What the remedies at the calls that compute attention have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from probes.trace import Trace
from remedies.source.errors import Unwritable
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.file import SourceFile
    from remedies.source.source import Source
    from remedies.surgery import Program

Answer = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def softmaxes(trace: Trace, is_wrong: Callable[[Trace, str], bool]) -> Iterator[str]:
    """All calls of softmax of the attentions that are wrong, together."""
    found = [info.call for where, info in trace.attentions.items() if is_wrong(trace, where)]
    calls = [call for call in dict.fromkeys(found) if call.startswith("softmax@")]
    if calls:
        yield ",".join(calls)


def answer(program: Program, action: Action, done: str, by: Answer) -> None:
    """Answer the calls of an action.

    Args:
        program: Where they are made.
        action: Its targets name the functions and lines: ``softmax@train.py:12``.
        done: What is told of a call that was answered.
        by: Gives the result, or `NotImplemented` for torch's own.
    """
    wanted = {tuple(target.split("@", 1)): target for target in action.targets}
    names = {key[0] for key in wanted}

    def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        target = wanted.get((name, program.line() or "")) if name in names else None
        result = NotImplemented if target is None else by(func, args, kwargs)
        if target is not None and result is not NotImplemented:
            program.report(action, target, done)
        return result

    program.rewrite_calls(rewrite)


def lines(action: Action) -> str:
    """The lines of an action, for a person."""
    return ", ".join(target.partition("@")[2] for target in action.targets) or "that line"


def by_call(trace: Trace, places: Iterable[str]) -> list[str]:
    """The calls of the attentions at these places, each of them once."""
    return list(dict.fromkeys(trace.attentions[where].call for where in places))


def places(source: Source, action: Action) -> Iterator[tuple[SourceFile, int]]:
    """The files and lines of an action.

    Raises:
        Unwritable: It names none.
    """
    if not action.targets:
        raise Unwritable("no line is named")
    for target in action.targets:
        yield source.place(target.partition("@")[2])
