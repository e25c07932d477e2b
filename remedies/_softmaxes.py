"""What the remedies at the softmax of an attention have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from probes.trace import Trace
from remedies.source.errors import Unwritable
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.file import SourceFile
    from remedies.source.source import Source
    from remedies.surgery import Program

Answer = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def targets(trace: Trace, is_wrong: Callable[[Trace, str], bool]) -> Iterator[str]:
    """All calls of softmax of the attentions that are wrong, together."""
    found = [info.call for where, info in trace.attentions.items() if is_wrong(trace, where)]
    calls = [call for call in dict.fromkeys(found) if call.startswith("softmax@")]
    if calls:
        yield ",".join(calls)


def answer(program: Program, action: Action, done: str, by: Answer) -> None:
    """Answer the calls of softmax at the lines of an action.

    Args:
        program: Where they are made.
        action: Its targets name the lines.
        done: What is told of a call that was answered.
        by: Gives the result, or `NotImplemented` for torch's own.
    """
    wanted = {target.partition("@")[2]: target for target in action.targets}

    def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getattr(func, "__name__", "") != "softmax":
            return NotImplemented
        target = wanted.get(program.line() or "")
        result = NotImplemented if target is None else by(func, args, kwargs)
        if target is not None and result is not NotImplemented:
            program.report(action, target, done)
        return result

    program.rewrite_calls(rewrite)


def lines(action: Action) -> str:
    """The lines of an action, for a person."""
    return ", ".join(target.partition("@")[2] for target in action.targets) or "that line"


def places(source: Source, action: Action) -> Iterator[tuple[SourceFile, int]]:
    """The files and lines of an action.

    Raises:
        Unwritable: It names none.
    """
    if not action.targets:
        raise Unwritable("no line is named")
    for target in action.targets:
        yield source.place(target.partition("@")[2])
