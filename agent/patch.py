"""The source patch: a confirmed treatment as a unified diff against the user's script."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.diagnosis import Pasted
from agent.findings import Findings
from agent.request import Request
from probes.trace import Trace
from remedies import remedies
from remedies.source.errors import Unwritable
from remedies.treatment import Action, Treatment

if TYPE_CHECKING:
    from remedies.source.file import SourceFile
    from remedies.source.source import Source


@dataclass(frozen=True)
class Patch:
    """A treatment made permanent.

    Attributes:
        text: The unified diff; ``patch -p1`` and ``git apply`` accept it.
        directory: The folder that its names are relative to.
        pasted: Whether a helper is pasted for what cannot be written into the code itself.
    """

    text: str
    directory: Path
    pasted: bool = False

    def elsewhere(self, directory: Path) -> str:
        """The folder that it belongs to, where that is not this one."""
        return "" if self.directory == directory.resolve() else str(self.directory)


def write_patch(
    treatment: Treatment, trace: Trace, directory: Path, script: Path, pasting: bool = False
) -> Patch | None:
    """The unified diff that makes a treatment permanent.

    It is all or nothing: half a treatment was never put to the test.

    Args:
        treatment: What is to be written.
        trace: The untreated run, which knows the lines.
        directory: The working directory.
        script: The script.
        pasting: Whether helpers are pasted, where remedies have one, before anything is rewritten.

    Returns:
        The patch; None where an action of the treatment cannot be written, or not safely.
    """
    from remedies.source.source import Source  # Half a second, which only a patch is worth.

    source = Source(trace, directory, script)
    try:
        pasted = [_write(source, action, pasting) for action in treatment]
        changed = [file for file in source.files if file.text != file.edited]
        if not changed:
            return None
        root = _root(changed, directory.resolve(), script.resolve().parent)
        files = sorted(changed, key=lambda file: file.path)
        return Patch("".join(_file_patch(file, root) for file in files), root, any(pasted))
    except Unwritable:
        return None


def patches_of(findings: Findings, request: Request) -> list[Patch]:
    """The patches of the confirmed fix, the one that a person would write first."""
    fix, baseline, workload = findings.fix, findings.baseline, request.workload
    if fix is None or baseline is None or not request.patch:
        return []
    found: list[Patch] = []
    for pasting in (False, True):
        try:
            patch = write_patch(
                fix.treatment, baseline.trace, workload.directory, workload.script, pasting
            )
        except Exception:  # The patch is an extra: a diagnosis must not fail at its last step.
            continue
        if patch is not None and patch.text not in [other.text for other in found]:
            found.append(patch)
    return found


def helpers_of(findings: Findings, request: Request) -> tuple[Pasted, ...]:
    """What a person can paste for the actions of a fix that has no patch."""
    fix, baseline, workload = findings.fix, findings.baseline, request.workload
    if fix is None or baseline is None or not request.patch:
        return ()
    from remedies.source.source import Source

    found = []
    for action in fix.treatment:
        try:
            source = Source(baseline.trace, workload.directory, workload.script)
            helper = remedies[action.remedy].helper(source, action)
        except Exception:  # See `patches_of`.
            continue
        found.append(Pasted(place=helper.place, behind=helper.behind, code=helper.code))
    return tuple(found)


def _write(source: Source, action: Action, pasting: bool) -> bool:
    """Ask for the edits of an action; gives whether a helper is pasted."""
    from remedies.source.helpers import paste

    def pasted() -> None:
        paste(source, remedies[action.remedy].helper(source, action))

    def rewritten() -> None:
        remedies[action.remedy].rewrite(source, action)

    first, second = (pasted, rewritten) if pasting else (rewritten, pasted)
    try:
        with source.attempt():
            first()
        return pasting
    except Unwritable:
        with source.attempt():
            second()
        return not pasting


def _root(files: list[SourceFile], directory: Path, folder: Path) -> Path:
    """The folder that the names of these files are told from.

    That is the working directory, or the script's folder, or what holds both.
    """
    common = Path(os.path.commonpath([directory, folder]))
    for root in (directory, folder, common):
        if all(file.path.is_relative_to(root) for file in files) and root != Path(root.anchor):
            return root
    raise Unwritable("the files have no folder in common")


def _file_patch(file: SourceFile, directory: Path) -> str:
    name = file.path.relative_to(directory).as_posix()
    return "".join(_diff(file.text, file.edited, name))


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
