"""The evidence decides, and a direction that helps is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.policies import policies
from agent.workload import TrialSpec
from remedies import remedies
from remedies.treatment import Treatment
from tests.agent.made_up import MadeUp, episode_of, factor


@pytest.mark.parametrize(
    ("score", "tried"),
    [
        ({0.1: 0.97}, [0.1]),
        ({0.1: 0.4, 0.01: 0.97}, [0.1, 0.01]),
        ({0.1: 0.4, 0.01: 0.5, 0.001: 0.3}, [0.1, 0.01, 0.001]),
        ({0.1: None, 0.01: 0.97}, [0.1, 0.01]),
        ({0.1: 0.1}, [0.1]),
    ],
    ids=["at once", "one further", "until it gets worse", "still diverges", "no help"],
)
def test_a_tenth_and_then_a_hundredth_of_the_rate(score, tried, tmp_path) -> None:
    launcher = MadeUp(lambda treatment: score.get(round(factor(treatment), 6), 0.2))
    episode = episode_of(launcher, tmp_path, used=[remedies["R301"]])
    policies["ranked"].play(episode)
    found = [factor(spec.treatment) for spec in launcher.ran if spec.treatment]
    assert found == pytest.approx(tried)
    assert len(episode.heard) == len(tried)


def test_what_was_lucky_is_given_up_and_its_direction_followed(tmp_path) -> None:
    def lucky(spec: TrialSpec) -> bool:
        return spec.seed != 0 and factor(spec.treatment) == pytest.approx(0.1)

    launcher = MadeUp(lambda treatment: 0.97 if factor(treatment) < 0.5 else 0.2, idle=lucky)
    episode = episode_of(launcher, tmp_path, used=[remedies["R301"]], budget=30)
    policies["ranked"].pursue(episode)
    assert episode.findings.fix is not None
    assert factor(episode.findings.fix.treatment) == pytest.approx(0.01)


def heard(tmp_path: Path, cure: str, symptoms: tuple[str, ...], **options: Any) -> list[str]:
    """The remedies that get a trial where one of them cures all."""

    def rule(treatment: Treatment) -> float:
        return 0.99 if cure in [action.name for action in treatment] else 0.2

    launcher = MadeUp(rule)
    policies["ranked"].play(episode_of(launcher, tmp_path, symptoms=symptoms, **options))
    return [spec.treatment[-1].name for spec in launcher.ran if spec.treatment]


def test_a_cure_settles_what_was_its_consequence(tmp_path) -> None:
    alarms = "P801", "P303"
    assert heard(tmp_path, "zero-gradients", alarms) == ["zero-gradients"]
    assert "scale-learning-rate" in heard(tmp_path, "nothing", alarms)
    asked_for = heard(tmp_path, "zero-gradients", alarms, offer=("scale-learning-rate",))
    assert set(asked_for) == {"zero-gradients", "scale-learning-rate"}


def test_what_treats_the_same_symptom_as_the_cure_is_heard_and_refuted(tmp_path) -> None:
    found = heard(tmp_path, "scale-learning-rate", ("P303",))
    rivals = {r.name for r in remedies if r.treats.get("P303", 0) >= 0.1}
    assert {"scale-learning-rate"} < set(found) <= rivals
