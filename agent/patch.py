"""The source patch: a confirmed treatment as a unified diff against the user's script."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.findings import Findings
from agent.request import Request
from probes.trace import Trace
from remedies import remedies
from remedies.source.errors import Unwritable
from remedies.treatment import Treatment

if TYPE_CHECKING:
    from remedies.source.file import SourceFile


def write_patch(treatment: Treatment, trace: Trace, directory: Path, script: Path) -> str | None:
    """The unified diff that makes a treatment permanent.

    ``patch -p1`` and ``git apply`` in the working directory accept it. It is all or nothing: half
    a treatment was never put to the test.

    Args:
        treatment: What is to be written.
        trace: The untreated run, which knows the lines.
        directory: The working directory.
        script: The script.

    Returns:
        The diff; None where an action of the treatment cannot be written, or not safely.
    """
    from remedies.source.source import Source  # Half a second, which only a patch is worth.

    source = Source(trace, directory, script)
    try:
        for action in treatment:
            remedies[action.remedy].rewrite(source, action)
        files = sorted(source.files, key=lambda file: file.path)
        return "".join(_file_patch(file, directory.resolve()) for file in files) or None
    except Unwritable:
        return None


def patch_of(findings: Findings, request: Request) -> str | None:
    """The patch of the confirmed fix; None where there is none, or it cannot be written."""
    fix, baseline, workload = findings.fix, findings.baseline, request.workload
    if fix is None or baseline is None or not request.patch:
        return None
    try:
        return write_patch(fix.treatment, baseline.trace, workload.directory, workload.script)
    except Exception:  # The patch is an extra: a diagnosis must not fail at its last step.
        return None


def _file_patch(file: SourceFile, directory: Path) -> str:
    before, after = file.text, file.edited
    if before == after:
        return ""
    if not file.path.is_relative_to(directory):
        raise Unwritable(f"{file.path} is outside the working directory")
    return "".join(_diff(before, after, file.path.relative_to(directory).as_posix()))


def _diff(before: str, after: str, name: str) -> Iterator[str]:
    if not name.isprintable() or set(name) & set('"\\'):
        raise Unwritable(f"{name!r} cannot be named in a patch")
    end = "\t" if " " in name else ""  # Tells where a name with spaces ends.
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{name}{end}", f"b/{name}{end}")
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    # Not str.splitlines: that takes form feeds and the like for the ends of lines, too.
    return list(io.StringIO(text, newline="\n"))
