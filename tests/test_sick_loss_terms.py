"""Terms that drown one another or pull apart: found, named and cured in scripts of other kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probes import Objective, Trace, probes
from remedies import remedies
from remedies.treatment import Action

RunScript = Callable[..., Trace]

SCRIPTS = Path(__file__).parent / "sick"
DOMINANCE = SCRIPTS / "contrastive_dominance.py"
CONFLICT = SCRIPTS / "opposed_terms.py"
pytestmark = pytest.mark.slow


def alarms(trace: Trace) -> dict[str, tuple[str, str | None]]:
    metric = Objective.infer(trace)
    found = [s for probe in probes for s in probe.read(trace, metric) if s.alarming]
    return {symptom.code: (symptom.where, symptom.source) for symptom in reversed(found)}


def line_of(script: Path, text: str) -> str:
    return f"{script.name}:{1 + script.read_text().splitlines().index(text)}"


def act(remedy: str, target: str, **params: float) -> tuple[Action, ...]:
    return (remedies[remedy].default(target).model_copy(update={"params": params}),)


def final(trace: Trace) -> float:
    metric = Objective.infer(trace)
    assert metric is not None
    return metric.final(trace)


def test_the_drowning_term_is_found_and_left_out(run_script: RunScript) -> None:
    line = line_of(DOMINANCE, '        "restoring": (restored - record).square().sum(1).mean(),')
    for seed in (0, 1):
        sick = run_script(DOMINANCE, seed=seed)
        assert alarms(sick) == {"P201": ("restoring", line), "P204": ("restoring", line)}
        treated = run_script(DOMINANCE, seed=seed, treatment=act("R202", "restoring"))
        assert final(sick) < 0.3 and final(treated) > 0.9
        assert not alarms(treated)


def test_less_weight_for_the_drowning_term_does_it_too(run_script: RunScript) -> None:
    treated = run_script(DOMINANCE, treatment=act("R201", "restoring", factor=0.02))
    assert final(treated) > 0.9 and not alarms(treated)


def test_more_epochs_do_not(run_script: RunScript) -> None:
    treated = run_script(DOMINANCE, treatment=act("R302", "", factor=2.0))
    assert treated.steps == 800
    assert final(treated) < 0.3 and alarms(treated)


def test_terms_that_pull_apart_are_found_and_parted(run_script: RunScript) -> None:
    line = line_of(CONFLICT, "    by_teacher = imitation(guess, scores)")
    computed = line_of(
        CONFLICT,
        '    return args.heat**2 * functional.kl_div(cool, wanted, reduction="batchmean")',
    )
    for seed in (0, 1):
        sick = run_script(CONFLICT, seed=seed)
        assert alarms(sick).keys() == {"P206"}
        where, source = alarms(sick)["P206"]
        assert where == "by_teacher" and source in (line, computed)
        targets = list(remedies["R202"].targets(_conflict(sick), sick))
        assert targets == ["by_teacher", "by_label"]
        treated = run_script(CONFLICT, seed=seed, treatment=act("R202", targets[0]))
        assert final(sick) < 0.2 and final(treated) > 0.9
        assert not alarms(treated)


def _conflict(trace: Trace) -> list:
    metric = Objective.infer(trace)
    return [s for probe in probes for s in probe.read(trace, metric) if s.code == "P206"]
