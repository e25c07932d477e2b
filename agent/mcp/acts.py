"""What the tools let the engine do; each of these runs in the thread of its session."""

from __future__ import annotations

from collections.abc import Sequence

from agent.assessment import Assessment
from agent.confirm import Confirmation, summarise
from agent.episode import Episode
from agent.errors import UsageError
from agent.heard import Heard, explain
from agent.mcp import models
from agent.mcp.desk import spare_runs
from agent.mcp.session import Session
from agent.mcp.shown import NAME, finite, short
from agent.mcp.treatments import WantedAction, offered, read_treatment
from agent.ranking import Hypothesis
from agent.units import values
from remedies import remedies
from remedies.treatment import Treatment, describe

_MOST_CANDIDATES = 20
_PREFER = "Confirm the one that gains most; of equals, the smallest"


def left(session: Session) -> models.Left:
    """What may still be spent."""
    kept = min(session.leash.left, spare_runs(session.request.seeds))
    return models.Left(
        runs=session.leash.left, runs_kept=kept, seconds=round(session.seconds_left, 1)
    )


def candidates(session: Session, episode: Episode) -> models.Candidates:
    """What could be tried, and what was."""
    found = {symptom.code for symptom in episode.findings.symptoms if symptom.alarming}
    offers = offered(episode)
    likely = [offer for offer in offers if found & set(offer.remedy.treats)][:_MOST_CANDIDATES]
    shown = {offer.remedy.code for offer in likely}
    others = {
        f"{o.remedy.code} {o.remedy.name}": None for o in offers if o.remedy.code not in shown
    }
    return models.Candidates(
        candidates=[_candidate(offer, found) for offer in likely],
        unlikely=list(others),
        tried=[_line(heard) for heard in episode.heard],
        left=left(session),
        next="Try the likeliest one with try_treatment; what is refuted is not the cause. "
        f"{_PREFER}.",
    )


def _candidate(offer: Hypothesis, found: set[str]) -> models.CandidateFound:
    doc = (type(offer.remedy).__doc__ or "").strip().partition("\n")[0]
    return models.CandidateFound(
        remedy=offer.remedy.code,
        name=offer.remedy.name,
        target=short(offer.action.target, NAME),
        params=offer.action.params,
        space={name: values(dimension) for name, dimension in offer.space.items()},
        treats=sorted(found & set(offer.remedy.treats)),
        chance=round(offer.weight, 3),
        what=doc,
    )


def _line(heard: Heard) -> str:
    verdict = "recovers" if heard.recovers else "refuted"
    told = explain(heard, None)
    return short(f"{describe(heard.treatment)}: {verdict}, {told}")


def try_treatment(
    session: Session, episode: Episode, wanted: Sequence[WantedAction], seeds: int
) -> models.Tried:
    """Run a treatment on the search seed, and on more where asked for."""
    treatment = read_treatment(wanted, episode)
    known = any(heard.treatment == treatment for heard in episode.heard)
    _afford(session, 2 * (seeds - 1) + (not known), spare_runs(session.request.seeds))
    session.begin("search")
    heard = episode.try_treatment(treatment)
    if heard is None:
        raise _spent(session, "try_treatment")
    more = episode.compare(treatment, seeds - 1) if seeds > 1 else []
    return _tried(session, heard, [heard.assessment, *more])


def _afford(session: Session, runs: int, kept: int) -> None:
    if runs and session.seconds_left <= 0:
        limit = session.request.time_budget
        raise UsageError(
            f"time spent: trials took the {limit:g} s that they may: close the session"
        )
    if session.leash.left - kept < runs:
        raise _spent(session, f"{runs} runs more")


def _spent(session: Session, what: str) -> UsageError:
    leash = session.leash
    return UsageError(
        f"budget spent: {leash.runs} of {leash.most} runs were made, and what is left is not "
        f"enough for {what}: confirm what recovers, or close the session"
    )


def _tried(session: Session, heard: Heard, assessments: Sequence[Assessment]) -> models.Tried:
    first = heard.assessment
    recovers = heard.recovers and all(assessment.recovers for assessment in assessments)
    last = heard.treatment[-1]
    further = remedies[last.remedy].further(last) if first.gain > 0 and not recovers else None
    return models.Tried(
        treatment=short(describe(heard.treatment)),
        recovers=recovers,
        why=short(explain(heard, None)),
        pairs=[_pair(assessment) for assessment in assessments],
        cleared=list(first.cleared),
        remaining=list(first.remaining),
        raised=list(first.raised),
        further=further.params if further else {},
        left=left(session),
        next=_after_try(recovers, further is not None),
    )


def _after_try(recovers: bool, further: bool) -> str:
    if recovers:
        return f"It recovers. The first one confirmed ends the session. {_PREFER}."
    if further:
        return "It helps without curing: try it with the parameters of `further`."
    return "It is not the cure: try another candidate, or two of them together."


def _pair(assessment: Assessment) -> models.Pair:
    objective = assessment.objective
    return models.Pair(
        seed=assessment.treated.spec.seed,
        control=finite(assessment.control.value(objective)),
        treated=finite(assessment.value),
    )


def confirm(session: Session, episode: Episode, wanted: Sequence[WantedAction]) -> models.Confirmed:
    """Put a treatment that was tried to the confirmation."""
    treatment = read_treatment(wanted, episode)
    if not any(heard.treatment == treatment for heard in episode.heard):
        raise UsageError("it was not tried yet: try_treatment first, with the same parameters")
    _afford(session, _runs_to_confirm(session, treatment), session.request.seeds)
    session.begin("confirm")
    found = episode.confirm(treatment)
    return _confirmed(session, episode.findings.fix or found)


def _runs_to_confirm(session: Session, treatment: Treatment) -> int:
    """Pairs, and what it takes to leave each of several actions out."""
    seeds = session.request.seeds
    return 2 * seeds + (seeds * len(treatment) if len(treatment) > 1 else 0)


def _confirmed(session: Session, found: Confirmation) -> models.Confirmed:
    comparison = found.comparison
    low, high = comparison.ci
    return models.Confirmed(
        confirmed=found.confirmed,
        treatment=short(describe(found.treatment)),
        why=short(summarise(found)),
        pairs=[
            models.Pair(
                seed=seed, control=finite(comparison.control.get(seed)), treated=finite(treated)
            )
            for seed, treated in comparison.treated.items()
        ],
        effect=finite(comparison.effect),
        ci=(finite(low), finite(high)),
        p_value=finite(comparison.p_value),
        left=left(session),
        next="The fix is proven, and no more can be tried: patch gives it as a diff."
        if found.confirmed
        else "It is not proven: try another candidate.",
    )
