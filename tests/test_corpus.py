"""Every fault of the corpus: found at its place, silent in the healthy twin, cured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.candidate import Candidate
from agent.ranking import rank
from probes import Objective, Symptom, Trace, probes
from remedies import remedies
from remedies.treatment import CONTROL, Action, Treatment
from tests.corpus import GROUPS, Sick, load

pytestmark = pytest.mark.slow

_TRIES = 4

# Those of the documents are tested beside their probes and remedies.
SCRIPTS = [
    pytest.param(
        script,
        marks=[
            pytest.mark.xdist_group(script.name),
            *([pytest.mark.long] if script.healthy is None else []),
        ],
        id=script.name,
    )
    for script in load(group for group in GROUPS if group != "documents")
]
TREATABLE = [given for given in SCRIPTS if given.values[0].remedies]
TWINS = [given for given in SCRIPTS if given.values[0].healthy]

Run = Callable[..., Trace]
_ran: dict[tuple[Path, str], Trace] = {}


@pytest.fixture
def run(run_script: Run) -> Run:
    """Runs a script, unless that very run was made before."""

    def run(script: Path, args: tuple[str, ...], treatment: Treatment = CONTROL) -> Trace:
        key = script, str(treatment)
        if key not in _ran:
            _ran[key] = run_script(script, *args, treatment=treatment)
        return _ran[key]

    return run


def alarms(trace: Trace) -> list[Symptom]:
    metric = Objective.infer(trace)
    found = [s for probe in probes for s in probe.read(trace, metric) if s.alarming]
    return sorted(found, key=lambda symptom: -symptom.severity)


@pytest.mark.parametrize("sick", SCRIPTS)
def test_the_fault_is_found_at_its_place(sick: Sick, run: Run) -> None:
    every = alarms(run(sick.script, sick.args))
    found = [symptom for symptom in every if symptom.code == sick.symptom]
    assert found, [symptom.code for symptom in every]
    assert sick.names(found[0].where, found[0].source), (found[0].where, found[0].source)


@pytest.mark.parametrize("sick", TWINS)
def test_the_healthy_twin_raises_no_alarm(sick: Sick, run: Run) -> None:
    assert sick.healthy is not None
    assert not alarms(run(sick.healthy, sick.args))


@pytest.mark.long
@pytest.mark.parametrize("sick", TREATABLE)
def test_the_likeliest_right_remedy_cures_it(sick: Sick, run: Run) -> None:
    untreated = run(sick.script, sick.args)
    metric = Objective.infer(untreated)
    assert metric is not None
    if sick.healthy is not None:
        cured = metric.final(run(sick.healthy, sick.args))
        enough = 0.9 * metric.gain(metric.final(untreated), cured)
        assert enough > 0
    else:
        enough = 0.1 * abs(metric.final(untreated))
    found = {}
    for action in _tries(sick, untreated):
        treated = run(sick.script, sick.args, treatment=(action,))
        gain = metric.gain(metric.final(untreated), metric.final(treated))
        if gain >= enough and not alarms(treated):
            return
        found[str(action)] = gain, [symptom.code for symptom in alarms(treated)]
    pytest.fail(f"gained, of {enough:.3g}: {found}")


def _tries(sick: Sick, untreated: Trace) -> list[Action]:
    """The right remedy that is heard first: its default, and other options of its choices."""
    heard = rank(remedies, alarms(untreated), untreated)
    right = next(h for h in heard if h.remedy.name in sick.remedies)
    return [right.action, *Candidate(right.action, right.space).variants][:_TRIES]
