"""Where the answer of a diagnosis goes: to the terminal, and into the files that were asked for."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.errors import InfrastructureError

if TYPE_CHECKING:
    from agent.diagnosis import Diagnosis


def give_answer(
    diagnosis: Diagnosis,
    patch_file: str | None,
    svg_file: str | None,
    observations: bool = False,
) -> int:
    """Show the answer to a person, and write the files that show it.

    Args:
        diagnosis: What to tell.
        patch_file: Where the fix goes as a unified diff, if anywhere.
        svg_file: Where the answer goes as a picture, if anywhere.
        observations: Whether to tell of symptoms that are too mild to matter, too.

    Returns:
        The exit code of the verdict.

    Raises:
        InfrastructureError: The patch cannot be written.
    """
    from agent.diagnosis import EXIT_CODES
    from agent.report import Report, ReportConsole, save_picture, to_text
    from agent.wording import headline

    if diagnosis.verdict == "failed":
        click.echo(f"agent: {headline(diagnosis)}", err=True)
    else:
        console = ReportConsole(sys.stdout)
        if console.is_terminal:
            console.print(Report(diagnosis, observations))
        else:
            console.print(to_text(diagnosis, console.width, observations), end="", soft_wrap=True)
    if svg_file is not None:
        save_picture(diagnosis, Path(svg_file))
    if patch_file is not None:
        if diagnosis.fix is not None and diagnosis.fix.patch:
            write_file(patch_file, diagnosis.fix.patch)
        else:
            click.echo(f"agent: there is no patch to write to {patch_file}", err=True)
    return EXIT_CODES[diagnosis.verdict]


def to_json(diagnosis: Diagnosis) -> str:
    """The whole diagnosis as JSON, for another program."""
    # A file name that is not UTF-8 reaches us with lone surrogates, which only json can write.
    return json.dumps(_finite(diagnosis.model_dump(mode="json")), indent=2) + "\n"


def _finite(value: Any) -> Any:
    """The same value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_file(file: str, text: str) -> None:
    """Write a file that was asked for.

    Raises:
        InfrastructureError: It cannot be written.
    """
    try:
        Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InfrastructureError(f"cannot write {file}: {error.strerror or error}") from error
