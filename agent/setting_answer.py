"""What the search over the settings comes to, for the diagnosis."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.confirm import Confirmation, summarise
from agent.diagnosis import KnownGood, SettingDifference, Tried, TriedStatus
from agent.heard import Heard
from agent.request import Request
from agent.settings_found import SettingsFound, names_of
from remedies import remedies
from remedies.revert_setting import RevertSetting
from remedies.treatment import Treatment


def known_good(found: SettingsFound, request: Request) -> KnownGood:
    """The part of the diagnosis that tells about the known-good configuration."""
    way, explanation = found.yardstick, found.explanation
    control = found.heard[0].assessment.control if found.heard else None
    return KnownGood(
        args=request.good or (),
        differences=tuple(
            SettingDifference(name=d.name, bad=d.bad, good=d.good) for d in found.differences
        ),
        metric_bad=control.value(way.objective) if control and way else None,
        metric_good=way.good if way else None,
        fix=explanation.fix,
        cause=explanation.cause,
        cures=explanation.cures,
        trials=len(found.heard),
        message=sentence(found),
    )


def sentence(found: SettingsFound) -> str:
    """What makes the script fail, by name."""
    explanation = found.explanation
    if found.complaint:
        return found.complaint
    if not explanation.fix:
        return (
            f"the budget did not suffice to find out which of {len(found.differences)} differing "
            "settings it is: a larger --budget does"
        )
    shown = {difference.name: difference.shown for difference in found.differences}
    bad = [shown[name] for name in explanation.cause or explanation.fix]
    if not explanation.cause:
        return (
            f"reverting {_listed(explanation.fix)} recovers; the budget did not suffice to find "
            "out whether the failure needs other settings, too"
        )
    others = len(found.differences) - len(explanation.fix)
    if set(explanation.cause) == set(explanation.fix):
        one = len(bad) == 1
        rest = f" without the other {others} differences" if others else ""
        together = "" if one else ", and all of them have to be reverted"
        return f"{_listed(bad)} {'makes' if one else 'make'} it fail{rest}{together}"
    return f"the failure needs {_listed(bad)} together; {_which_recover(found)}"


def _which_recover(found: SettingsFound) -> str:
    cause, cures = found.explanation.cause, found.explanation.cures
    if cures is not None and set(cures) == set(cause):
        which = "either one" if len(cause) == 2 else "any one of them"
        return f"reverting {which} recovers"
    return f"reverting {_listed(found.explanation.fix)} recovers"


def advice(fix: Treatment, request: Request) -> list[str]:
    """The command line to use instead, where the fix is one of settings."""
    remedy = remedies[RevertSetting.code]
    assert isinstance(remedy, RevertSetting)
    line: Sequence[str] = request.workload.args
    if not names_of(fix):
        return []
    for action in fix:
        if action.remedy == remedy.code:
            line = remedy.change(line, action)
    script = request.workload.script
    here = Path(request.workload.directory)
    shown = os.path.relpath(script, here) if script.is_relative_to(here) else str(script)
    return [f"The command line to use: {shlex.join(['python', shown, *line])}"]


def tried(
    found: SettingsFound, results: Sequence[Confirmation], fix: Confirmation | None
) -> Iterator[Tried]:
    """Every set of settings that was reverted, and what came of it."""
    for heard in found.heard:
        result = next((r for r in results if r.treatment == heard.treatment), None)
        assessment, objective = heard.assessment, heard.assessment.objective
        seed = assessment.treated.spec.seed
        metric = {seed: assessment.value} if assessment.reported else {}
        control = {seed: assessment.control.value(objective)}
        status, reason = _status(found, heard)
        if result is not None:
            metric |= result.comparison.treated
            control |= result.comparison.control
            status = "confirmed" if result is fix else "refuted"
            reason = summarise(result)
        yield Tried(
            treatment=heard.treatment,
            status=status,
            metric=metric,
            control=control,
            cleared=assessment.cleared,
            raised=assessment.raised,
            reason=reason,
        )


def _status(found: SettingsFound, heard: Heard) -> tuple[TriedStatus, str]:
    run, way, explanation = heard.assessment.treated, found.yardstick, found.explanation
    names = names_of(heard.treatment)
    if heard.assessment.broken:
        ending = run.ending
        return "failed", f"the run ended {run.status}: {ending.message if ending else ''}"
    share = f"{100 * way.share(run):.0f} % of the way to the good configuration" if way else ""
    if found.complaint:
        return "refuted", "the good configuration is no better"
    if way is None or not way.recovered(run):
        return "refuted", f"does not recover: {share}"
    if names == {difference.name for difference in found.differences}:
        share = "the good configuration: recovers"
    enough = [explanation.fix, *((name,) for name in explanation.cures or ())]
    for fewer in filter(None, enough):
        if set(fewer) < names:
            return "refuted", f"{share}; more than is needed: {_listed(fewer)} will do"
    return "pruned", f"{share}: recovers, too; not put to the confirmation"


def _listed(names: Sequence[str]) -> str:
    """Names as a person lists them.

    >>> _listed(["a", "b", "c"]), _listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
