"""What every policy owes: it ends, keeps to the budget, and what it found can be confirmed."""

from __future__ import annotations

import pytest

from agent.policies import Policy, policies
from remedies.treatment import Treatment
from tests.agent.made_up import MadeUp, episode_of, factor

PLAYING = [policy for policy in policies if not policy.talks]


def by_a_lower_rate(treatment: Treatment) -> float:
    return 0.97 if factor(treatment) < 0.5 else 0.2


@pytest.mark.parametrize("policy", PLAYING, ids=lambda policy: policy.name)
def test_it_finds_a_cure_that_there_is(policy: Policy, tmp_path) -> None:
    episode = episode_of(MadeUp(by_a_lower_rate), tmp_path, budget=120)
    policy.pursue(episode)
    fix = episode.findings.fix
    assert fix is not None
    assert [action.name for action in fix.treatment] == ["scale-learning-rate"]


@pytest.mark.parametrize("policy", PLAYING, ids=lambda policy: policy.name)
def test_it_keeps_to_the_budget_where_there_is_none(policy: Policy, tmp_path) -> None:
    episode = episode_of(MadeUp(lambda treatment: 0.2), tmp_path, budget=14)
    policy.play(episode)
    assert 1 < episode.spent <= 14 - 2 * 3
    episode.confirm_best()
    assert episode.findings.fix is None


@pytest.mark.parametrize("policy", PLAYING, ids=lambda policy: policy.name)
def test_a_cure_that_breaks_on_other_seeds_is_none(policy: Policy, tmp_path) -> None:
    launcher = MadeUp(by_a_lower_rate, idle=lambda spec: spec.seed != 0)
    episode = episode_of(launcher, tmp_path, budget=60)
    policy.pursue(episode)
    assert episode.findings.fix is None
