"""What a diagnosis did not look at: told in the report, so that nobody takes it for more."""

from __future__ import annotations

from collections.abc import Iterator

from agent.diagnosis import Diagnosis
from agent.text import plain


def not_checked(diagnosis: Diagnosis) -> list[str]:
    """What a reader has to judge alone, sentence by sentence."""
    return [*_of_the_run(diagnosis), *_of_the_trials(diagnosis), *_of_the_fix(diagnosis)]


def _of_the_run(diagnosis: Diagnosis) -> Iterator[str]:
    workload = diagnosis.workload
    if workload.prefix is not None:
        yield f"anything after step {workload.prefix}: trials were stopped there"
    if diagnosis.verdict == "healthy":
        yield "faults that no probe is there for: agent list shows what is looked for"
    if workload.metric is not None:
        name = plain(workload.metric.name)
        yield f"anything but {name}: whether that is the right thing to want is for you to say"


def _of_the_trials(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.verdict in ("fixed", "unresolved") and not diagnosis.tried:
        yield "any remedy: no trial was run"
    pruned = sum(tried.status == "pruned" for tried in diagnosis.tried)
    if pruned:
        what = "treatment that was" if pruned == 1 else "treatments that were"
        yield f"{pruned} {what} given up before the evidence was complete"
    cleared = {code for tried in diagnosis.tried for code in tried.cleared}
    alarms = {symptom.code for symptom in diagnosis.symptoms if symptom.alarming}
    if diagnosis.tried and (left := sorted(alarms - cleared)):
        yield f"a cure of {', '.join(map(plain, left))}: nothing that was tried made it go away"


def _of_the_fix(diagnosis: Diagnosis) -> Iterator[str]:
    fix = diagnosis.fix
    if fix is None:
        return
    yield f"seeds other than the {len(fix.metric_after)} of the confirmation, and other data"
    if fix.patch and fix.patch_check is None:
        yield "the patched script itself: the same change was run from outside of it"
    if not fix.patch and fix.patch_check is None:
        how = "there are lines to paste" if fix.helpers else "it is described only"
        yield f"the change in the source: no patch could be written, {how}"
