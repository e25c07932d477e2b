"""The evidence decides, and a direction that helps is followed."""

from __future__ import annotations

import pytest

from agent.policies import policies
from remedies import remedies
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
